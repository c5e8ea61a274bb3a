import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorker;
import com.microsoft.durabletask.OrchestrationMetadata;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/** Needs a server at localhost:4001, the address that the SDK itself assumes. */
final class Hello {
    private Hello() {}

    public static void main(String[] args) throws Exception {
        Sdk.Programs programs = new Sdk.Programs();
        programs.orchestrator("greetings", ctx -> Stream.of(ctx.getInput(String[].class))
                .map(name -> ctx.callActivity("sayHello", name, String.class).await())
                .toList()
        ).activity("sayHello", ctx -> "Hello, " + ctx.getInput(String.class) + "!");
        try (DurableTaskGrpcWorker worker = programs.builder.build();
                DurableTaskClient client = new DurableTaskGrpcClientBuilder().build()) {
            worker.start();
            String id = client.scheduleNewOrchestrationInstance("greetings",
                    List.of("Tokyo", "Seattle", "London"));
            OrchestrationMetadata state = client.waitForInstanceCompletion(
                    id, Duration.ofMinutes(1), true);
            System.out.println(state.getSerializedOutput());
        }
        System.exit(0); // Not the worker's thread: it goes on looking for its server.
    }
}
