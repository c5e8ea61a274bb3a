import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import java.time.Instant;
import java.util.List;

/** A room with instances in each state that one can be left in. */
abstract class Lives extends Room {
    static final List<OrchestrationRuntimeStatus> ENDED = List.of(
            OrchestrationRuntimeStatus.COMPLETED, OrchestrationRuntimeStatus.FAILED,
            OrchestrationRuntimeStatus.TERMINATED);
    static final List<OrchestrationRuntimeStatus> ACTIVE = List.of(
            OrchestrationRuntimeStatus.RUNNING, OrchestrationRuntimeStatus.SUSPENDED,
            OrchestrationRuntimeStatus.PENDING);

    @Override
    void programs(Sdk.Programs programs) {
        programs.activity("echo", ctx -> ctx.getInput(Object.class));
        programs.orchestrator("echo", ctx ->
            ctx.callActivity("echo", ctx.getInput(Object.class), Object.class).await()
        ).orchestrator("failing", ctx -> {
            throw new IllegalStateException("as it must");
        }).orchestrator("awaiting", ctx -> {
            ctx.setCustomStatus("waiting");
            return ctx.waitForExternalEvent("go", Object.class).await();
        });
    }

    String leftIn(OrchestrationRuntimeStatus status) {
        return leftIn(status, newId("left"));
    }

    String leftIn(OrchestrationRuntimeStatus status, String id) {
        switch (status) {
            case COMPLETED -> end(start("echo", 1, id));
            case FAILED -> end(start("failing", 1, id));
            case PENDING -> client.scheduleNewOrchestrationInstance("awaiting",
                    options(id, 1).setStartTime(Instant.now().plusSeconds(3600)));
            default -> {
                start("awaiting", 1, id);
                untilCustomStatus(id, "waiting");
                if (status == OrchestrationRuntimeStatus.TERMINATED) {
                    client.terminate(id, null);
                    end(id);
                } else if (status == OrchestrationRuntimeStatus.SUSPENDED) {
                    client.suspendInstance(id);
                    untilStatus(id, status);
                }
            }
        }
        return id;
    }
}
