import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityContext;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationContext;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.util.function.Function;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Clients and workers of the SDK, and plain functions as their programs. */
final class Sdk {
    /** Of the server. */
    static final String ADDRESS = System.getProperty("address");

    static final int DEFAULT_MESSAGE = 4 << 20;
    static final int LARGE_MESSAGE = 64 << 20;

    private static final Logger LOGGER = Logger.getLogger("com.microsoft.durabletask");

    static {
        if (System.getenv("SDK_LOG") == null) {
            LOGGER.setLevel(Level.OFF);
        }
    }

    private Sdk() {}

    /** One message of at most so many bytes comes in on it. */
    static ManagedChannel channel(int largestMessage) {
        return ManagedChannelBuilder.forTarget(ADDRESS).usePlaintext()
                .maxInboundMessageSize(largestMessage).build();
    }

    static DurableTaskClient client() {
        return new DurableTaskGrpcClientBuilder().grpcChannel(channel(LARGE_MESSAGE))
                .build();
    }

    /** What a worker can do. */
    static final class Programs {
        final DurableTaskGrpcWorkerBuilder builder = new DurableTaskGrpcWorkerBuilder();

        /** A function whose result is the orchestration's. */
        Programs orchestrator(String name, Function<TaskOrchestrationContext, Object> run) {
            builder.addOrchestration(new TaskOrchestrationFactory() {
                @Override
                public String getName() {
                    return name;
                }

                @Override
                public TaskOrchestration create() {
                    return ctx -> ctx.complete(run.apply(ctx));
                }
            });
            return this;
        }

        Programs activity(String name, Function<TaskActivityContext, Object> run) {
            builder.addActivity(new TaskActivityFactory() {
                @Override
                public String getName() {
                    return name;
                }

                @Override
                public TaskActivity create() {
                    return run::apply;
                }
            });
            return this;
        }

        /** A worker at work until it is closed. */
        Worker start() {
            return start(DEFAULT_MESSAGE);
        }

        Worker start(int largestMessage) {
            ManagedChannel channel = channel(largestMessage);
            Thread thread = new Thread(builder.grpcChannel(channel).build()::startAndBlock);
            thread.setDaemon(true);
            thread.start();
            return () -> {
                thread.interrupt();
                channel.shutdownNow();
            };
        }
    }

    interface Worker extends AutoCloseable {
        @Override
        void close();
    }
}
