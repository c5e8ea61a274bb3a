import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorker;
import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/** Needs a server at localhost:4001, the address that the SDK itself assumes. */
final class Hello {
    static final class Greetings implements TaskOrchestrationFactory {
        @Override
        public String getName() {
            return "greetings";
        }

        @Override
        public TaskOrchestration create() {
            return ctx -> ctx.complete(Stream.of(ctx.getInput(String[].class))
                    .map(name -> ctx.callActivity("sayHello", name, String.class).await())
                    .toList());
        }
    }

    static final class SayHello implements TaskActivityFactory {
        @Override
        public String getName() {
            return "sayHello";
        }

        @Override
        public TaskActivity create() {
            return ctx -> "Hello, " + ctx.getInput(String.class) + "!";
        }
    }

    public static void main(String[] args) throws Exception {
        try (DurableTaskGrpcWorker worker = new DurableTaskGrpcWorkerBuilder()
                        .addOrchestration(new Greetings()).addActivity(new SayHello()).build();
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
