import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOptions;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Orchestrations that start others: results, failures, ids, what ends with whom. */
final class Children extends Room {
    /** A child to be called: its name, what it gets, its id if it is to have one. */
    record Child(String name, Object input, String id, int most) {
        Child(String name, Object input) {
            this(name, input, null, 1);
        }

        Task<Object> call(TaskOrchestrationContext ctx) {
            RetryPolicy policy = new RetryPolicy(most, Duration.ofMillis(20));
            return ctx.callSubOrchestrator(name, input, id, new TaskOptions(policy),
                    Object.class);
        }
    }

    private final Map<String, Integer> tried = new ConcurrentHashMap<>();

    @Override
    void programs(Sdk.Programs programs) {
        programs.activity("twice", ctx -> 2 * ctx.getInput(int.class))
                .activity("attempt", ctx ->
                        tried.merge(ctx.getInput(String.class), 1, Integer::sum));
        programs.orchestrator("double", ctx ->
            ctx.callActivity("twice", ctx.getInput(int.class), Integer.class).await()
        ).orchestrator("whoAmI", ctx -> ctx.getInstanceId()
        ).orchestrator("calls", ctx -> ctx.getInput(Child.class).call(ctx).await()
        ).orchestrator("callsMany", ctx -> ctx.allOf(range(0, ctx.getInput(int.class))
            .stream().map(i -> ctx.callSubOrchestrator("double", i, Integer.class))
            .toList()).await()
        ).orchestrator("nested", ctx -> {
            int depth = ctx.getInput(int.class);
            List<Object> ids = new ArrayList<>(List.of(ctx.getInstanceId()));
            if (depth > 0) {
                ids.addAll(ctx.callSubOrchestrator("nested", depth - 1, List.class)
                        .await());
            }
            return ids;
        }).orchestrator("failing", ctx -> {
            ctx.callActivity("twice", 1).await();
            throw new IllegalStateException(ctx.getInput(String.class));
        }).orchestrator("forgiving", ctx -> {
            try {
                ctx.getInput(Child.class).call(ctx).await();
                return List.of();
            } catch (TaskFailedException error) {
                return List.of(error.getTaskName(), error.getErrorDetails().getErrorType(),
                        error.getErrorDetails().getErrorMessage());
            }
        }).orchestrator("failingUntil", ctx -> {
            String key = ctx.getInput(String.class);
            int attempt = ctx.callActivity("attempt", key, Integer.class).await();
            if (attempt < 3) {
                throw new IllegalStateException("attempt " + attempt);
            }
            return ctx.getInstanceId();
        }).orchestrator("countdown", ctx -> {
            int n = ctx.getInput(int.class);
            ctx.callActivity("twice", n).await();
            if (n > 0) {
                ctx.continueAsNew(n - 1);
            }
            return "done";
        }).orchestrator("awaiting", ctx ->
            ctx.waitForExternalEvent("go", String.class).await());
    }

    private String holder(String child) {
        return start("calls", new Child("awaiting", null, child, 1));
    }

    @Test
    void a_child_s_result_reaches_its_parent() {
        assertEquals(42, output(int.class, run("calls", new Child("double", 21))));
    }

    @Test
    void a_child_without_an_id_gets_one() {
        String id = output(String.class, run("calls", new Child("whoAmI", null)));
        assertEquals("whoAmI", state(id).getName());
    }

    @Test
    void a_child_gets_the_id_it_is_given() {
        String id = newId("given");
        assertEquals(8, output(int.class, run("calls", new Child("double", 4, id, 1))));
        OrchestrationMetadata state = state(id);
        assertEquals(8, output(int.class, state));
        assertEquals("double", state.getName());
        assertEquals("4", state.getSerializedInput());
    }

    @Test
    void _50_children_at_once() {
        assertEquals(range(0, 50).stream().map(i -> 2 * i).toList(),
                numbers(run("callsMany", 50)));
    }

    @Test
    void children_of_children_10_deep() {
        List<?> ids = output(List.class, run("nested", 10));
        assertEquals(11, new HashSet<>(ids).size());
        ids.forEach(id -> hasStatus(OrchestrationRuntimeStatus.COMPLETED, (String) id));
    }

    @Test
    void a_child_that_fails_fails_its_parent() {
        failed(run("calls", new Child("failing", "too far")), TaskFailedException.class,
                "too far");
    }

    @Test
    void a_child_s_failure_can_be_caught_and_says_what_it_was() {
        assertEquals(List.of("failing", IllegalStateException.class.getName(), "too far"),
                output(List.class, run("forgiving", new Child("failing", "too far"))));
    }

    @TestFactory
    Stream<DynamicTest> attempts() {
        return Stream.of("", newId("again")).map(id -> dynamicTest(
                "a child that fails is tried again under its id " + id, () -> {
                    Child child = new Child("failingUntil", newId("key"),
                            id.isEmpty() ? null : id, 4);
                    String got = output(String.class, run("calls", child));
                    assertTrue(id.isEmpty() || got.equals(id), "it is " + got);
                    hasStatus(OrchestrationRuntimeStatus.COMPLETED, got);
                }));
    }

    @Test
    void a_child_is_not_tried_for_ever() {
        String key = newId("key");
        failed(run("calls", new Child("failingUntil", key, null, 2)),
                TaskFailedException.class, "attempt 2");
        assertEquals(2, tried.get(key));
    }

    @Test
    void a_child_under_the_id_of_one_that_runs_fails_and_that_one_goes_on() {
        String id = start("awaiting", null);
        untilStatus(id, OrchestrationRuntimeStatus.RUNNING);
        List<?> failure = output(List.class,
                run("forgiving", new Child("double", 1, id, 1)));
        assertEquals("double", failure.get(0));
        client.raiseEvent(id, "go", "on");
        assertEquals("on", output(String.class, end(id)));
    }

    @Test
    void a_child_under_the_id_of_one_that_has_ended_takes_its_place() {
        String id = run("double", 1).getInstanceId();
        assertEquals(6, output(int.class, run("calls", new Child("double", 3, id, 1))));
        assertEquals(6, output(int.class, state(id)));
    }

    @Test
    void a_child_that_goes_on_as_new_answers_its_parent_at_its_end() {
        assertEquals("done", output(String.class, run("calls", new Child("countdown", 5))));
    }

    @Test
    void a_child_that_is_terminated_is_a_failure_to_its_parent() {
        String victim = newId("victim");
        String id = start("forgiving", new Child("awaiting", null, victim, 1));
        untilStatus(victim, OrchestrationRuntimeStatus.RUNNING);
        client.terminate(victim, "enough");
        assertEquals("awaiting", output(List.class, end(id)).get(0));
    }

    @Test
    void an_event_can_be_raised_for_a_child_by_its_id() {
        String child = newId("child");
        String id = holder(child);
        untilStatus(child, OrchestrationRuntimeStatus.RUNNING);
        client.raiseEvent(child, "go", "on");
        assertEquals("on", output(String.class, end(id)));
    }

    @Test
    void a_termination_leaves_children_alone() {
        String child = newId("child");
        String id = holder(child);
        untilStatus(child, OrchestrationRuntimeStatus.RUNNING);
        client.terminate(id, null);
        assertEquals(OrchestrationRuntimeStatus.TERMINATED, end(id).getRuntimeStatus());
        pause(200);
        hasStatus(OrchestrationRuntimeStatus.RUNNING, child);
        client.raiseEvent(child, "go", "on");
        assertEquals("on", output(String.class, end(child)));
    }

    @Test
    void a_purge_leaves_children_alone() {
        List<?> ids = output(List.class, run("nested", 2));
        String first = (String) ids.get(0);
        assertEquals(1, client.purgeInstance(first).getDeletedInstanceCount());
        isGone(first);
        hasStatus(OrchestrationRuntimeStatus.COMPLETED, (String) ids.get(1));
        hasStatus(OrchestrationRuntimeStatus.COMPLETED, (String) ids.get(2));
    }
}
