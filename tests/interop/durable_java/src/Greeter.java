import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorker;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.Scanner;

/**
 * Greets whoever is named on a line of standard input, through the connection of
 * client/examples: TLS, a certificate and a token, if the environment says so.
 */
final class Greeter {
    private Greeter() {}

    public static void main(String[] args) throws Exception {
        Sdk.Programs programs = new Sdk.Programs().orchestrator("greeting", ctx ->
                ctx.callActivity("sayHello", ctx.getInput(String.class), String.class).await()
        ).activity("sayHello", ctx -> "Hello, " + ctx.getInput(String.class) + "!");
        ManagedChannel channel = Connection.open(Sdk.ADDRESS);
        try (DurableTaskGrpcWorker worker = programs.builder.grpcChannel(channel).build();
                DurableTaskClient client =
                        new DurableTaskGrpcClientBuilder().grpcChannel(channel).build();
                Scanner names = new Scanner(System.in)) {
            worker.start();
            while (names.hasNextLine()) {
                try {
                    String id = client.scheduleNewOrchestrationInstance(
                            "greeting", names.nextLine());
                    System.out.println("said " + client.waitForInstanceCompletion(
                            id, Room.PATIENCE, true).readOutputAs(String.class));
                } catch (StatusRuntimeException error) {
                    System.out.println("failed " + error);
                }
            }
        }
        System.exit(0); // Not the worker's thread: it goes on looking for its server.
    }
}
