import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.CompositeTaskFailedException;
import com.microsoft.durabletask.FailureDetails;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOptions;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Activities: what goes in and comes out, many at once, failures, retries. */
final class Activities extends Room {
    static final class OutOfStock extends RuntimeException {
        private static final long serialVersionUID = 1;

        OutOfStock(String message) {
            super(message);
        }
    }

    /** An activity that fails until it was tried often enough. */
    record Trial(String key, int good, int most, int first, double backoff, int longest,
            int total) {
        static Trial of(String name, int good, int most) {
            return new Trial(newId(name), good, most, 20, 1, 0, 0);
        }

        RetryPolicy policy() {
            RetryPolicy policy = new RetryPolicy(most, Duration.ofMillis(first))
                    .setBackoffCoefficient(backoff);
            if (longest > 0) {
                policy.setMaxRetryInterval(Duration.ofMillis(longest));
            }
            if (total > 0) {
                policy.setRetryTimeout(Duration.ofMillis(total));
            }
            return policy;
        }
    }

    private final Map<String, Integer> tried = new ConcurrentHashMap<>();

    @Override
    void programs(Sdk.Programs programs) {
        programs.activity("addOne", ctx -> ctx.getInput(int.class) + 1)
                .activity("echo", ctx -> ctx.getInput(Object.class))
                .activity("name", ctx -> ctx.getName())
                .activity("kind", ctx ->
                        ctx.getInput(Object.class) == null ? "nothing" : "some")
                .activity("make", ctx -> "x".repeat(ctx.getInput(int.class)))
                .activity("failing", ctx -> {
                    throw new OutOfStock(ctx.getInput(String.class));
                })
                .activity("failingUntil", ctx -> {
                    Trial trial = ctx.getInput(Trial.class);
                    int attempt = tried.merge(trial.key, 1, Integer::sum);
                    if (attempt < trial.good) {
                        throw new OutOfStock("attempt " + attempt);
                    }
                    return attempt;
                });
        programs.orchestrator("chain", ctx -> {
            int n = ctx.getInput(int.class);
            for (int i = 0; i < 5; ++i) {
                n = ctx.callActivity("addOne", n, Integer.class).await();
            }
            return n;
        }).orchestrator("noTasks", ctx ->
            List.of(ctx.getInstanceId(), ctx.getName(), ctx.getInput(Object.class))
        ).orchestrator("empty", ctx -> null
        ).orchestrator("passOn", ctx ->
            ctx.callActivity("echo", ctx.getInput(Object.class), Object.class).await()
        ).orchestrator("passNothing", ctx -> List.of(
            ctx.callActivity("kind", String.class).await(),
            ctx.callActivity("name", String.class).await(),
            ctx.callActivity("echo", null, Object.class).await() == null)
        ).orchestrator("sizeOf", ctx -> ctx.getInput(String.class).length()
        ).orchestrator("sizeOfResult", ctx ->
            ctx.callActivity("make", ctx.getInput(int.class), String.class).await().length()
        ).orchestrator("fanOut", ctx -> ctx.allOf(range(0, ctx.getInput(int.class)).stream()
            .map(i -> ctx.callActivity("addOne", i, Integer.class)).toList()).await()
        ).orchestrator("firstOfTwo", ctx -> {
            Task<Void> slow = ctx.createTimer(Duration.ofHours(1));
            Task<String> quick = ctx.callActivity("echo", "quick", String.class);
            Task<?> first = ctx.anyOf(slow, quick).await();
            return first == quick ? quick.await() : "slow";
        }).orchestrator("applied", ctx ->
            ctx.callActivity("addOne", 1, Integer.class).thenApply(n -> 10 * n).await()
        ).orchestrator("replayed", ctx -> {
            boolean first = ctx.getIsReplaying();
            ctx.callActivity("addOne", 1).await();
            return List.of(first, ctx.getIsReplaying());
        });
        failing(programs);
        retrying(programs);
    }

    private static void failing(Sdk.Programs programs) {
        programs.orchestrator("failing", ctx ->
            ctx.callActivity("failing", ctx.getInput(String.class)).await()
        ).orchestrator("throwing", ctx -> {
            ctx.callActivity("addOne", 1).await();
            throw new OutOfStock(ctx.getInput(String.class));
        }).orchestrator("forgiving", ctx -> {
            try {
                return ctx.callActivity(ctx.getInput(String.class), "no plums").await();
            } catch (TaskFailedException error) {
                FailureDetails details = error.getErrorDetails();
                return List.of(details.getErrorType(), details.getErrorMessage(),
                        details.isCausedBy(OutOfStock.class), error.getTaskName(),
                        details.getStackTrace().contains("Activities"));
            }
        }).orchestrator("allOfThem", ctx -> {
            try {
                return ctx.allOf(List.of(ctx.callActivity("failing", "a", Integer.class),
                        ctx.callActivity("addOne", 1, Integer.class),
                        ctx.callActivity("failing", "b", Integer.class))).await();
            } catch (CompositeTaskFailedException error) {
                return error.getExceptions().stream().map(TaskFailedException.class::cast)
                        .map(one -> one.getErrorDetails().getErrorMessage()).toList();
            }
        });
    }

    private static Object tryWith(TaskOrchestrationContext ctx, TaskOptions options) {
        return ctx.callActivity("failingUntil", ctx.getInput(Trial.class), options,
                Integer.class).await();
    }

    private static void retrying(Sdk.Programs programs) {
        programs.orchestrator("retrying", ctx ->
            tryWith(ctx, new TaskOptions(ctx.getInput(Trial.class).policy()))
        ).orchestrator("retryingByHand", ctx -> tryWith(ctx, new TaskOptions(retry -> {
            if (!retry.getLastFailure().isCausedBy(OutOfStock.class)
                    || retry.getLastAttemptNumber() >= ctx.getInput(Trial.class).most) {
                return false;
            }
            ctx.createTimer(Duration.ofMillis(20)).await();
            return true;
        }))
        ).orchestrator("retryingAtOnce", ctx -> {
            TaskOptions options = new TaskOptions(ctx.getInput(Trial.class).policy());
            Trial trial = ctx.getInput(Trial.class);
            return ctx.allOf(range(0, 5).stream().map(i -> ctx.callActivity("failingUntil",
                    new Trial(trial.key + i, 3, 9, 20, 1, 0, 0), options,
                    Integer.class)).toList()).await();
        });
    }

    @Test
    void a_chain_passes_each_result_on() {
        assertEquals(6, output(int.class, run("chain", 1)));
    }

    @Test
    void an_orchestrator_without_any_activity_completes_at_once() {
        OrchestrationMetadata state = run("noTasks", 7);
        assertEquals(List.of(state.getInstanceId(), "noTasks", 7),
                output(List.class, state));
    }

    @Test
    void an_orchestrator_may_take_and_return_nothing() {
        OrchestrationMetadata state = end(client.scheduleNewOrchestrationInstance("empty"));
        assertEquals(null, output(Object.class, state));
        assertEquals("", state.getSerializedInput());
    }

    @TestFactory
    Stream<DynamicTest> values() {
        Map<String, Object> deep = new LinkedHashMap<>();
        deep.put("", Arrays.asList(1, null, Map.of("three", List.of())));
        Stream<Object> values = Stream.of(false, 0, -1.5e300, (1L << 53) - 1,
                Long.MIN_VALUE, "", " ", "null", "\"\\\n\0", "Zoë 東京 🍎", List.of(), Map.of(), deep);
        return values.map(value -> dynamicTest(
                "the value " + shown(value) + " comes through", () -> assertEquals(
                        value, output(Object.class, run("passOn", value)))));
    }

    private static String shown(Object value) {
        return value instanceof String
                ? "'" + value.toString().replace("\n", "\\n").replace("\0", "\\0") + "'"
                : value.toString();
    }

    @Test
    void nothing_comes_through_as_nothing() {
        assertEquals(List.of("nothing", "name", true),
                output(List.class, run("passNothing", null)));
    }

    @Test
    void payloads_of_nearly_4_MiB_come_through_in_and_out() {
        int size = (4 << 20) - (4 << 10);
        assertEquals(size, output(int.class, run("sizeOf", "x".repeat(size))));
        assertEquals(size, output(int.class, run("sizeOfResult", size)));
    }

    @Test
    void _300_at_once_all_results_in_the_order_of_the_calls() {
        assertEquals(range(1, 301), numbers(run("fanOut", 300)));
    }

    @Test
    void any_of_two_goes_on_with_the_first() {
        assertEquals("quick", output(String.class, run("firstOfTwo", null)));
    }

    @Test
    void a_result_may_be_worked_on_when_it_comes() {
        assertEquals(20, output(int.class, run("applied", null)));
    }

    @Test
    void an_orchestrator_knows_whether_it_replays() {
        assertEquals(List.of(true, false), output(List.class, run("replayed", null)));
    }

    @Test
    void a_failure_nobody_catches_fails_the_orchestration_with_its_details() {
        OrchestrationMetadata state = run("failing", "no apples");
        failed(state, TaskFailedException.class, "no apples");
        assertEquals("", state.getSerializedOutput());
    }

    @Test
    void an_error_of_the_orchestrator_itself_fails_it_with_type_text_and_stack() {
        OrchestrationMetadata state = run("throwing", "no pears");
        failed(state, OutOfStock.class, "no pears");
        assertTrue(state.getFailureDetails().getStackTrace().contains("Activities"));
        assertTrue(state.getFailureDetails().isCausedBy(RuntimeException.class));
        assertFalse(state.getFailureDetails().isNonRetriable());
    }

    @Test
    void a_failure_can_be_caught_and_says_what_it_was() {
        assertEquals(List.of(OutOfStock.class.getName(), "no plums", true, "failing", true),
                output(List.class, run("forgiving", "failing")));
    }

    @Test
    void of_all_that_were_called_the_failures_are_told() {
        assertEquals(List.of("a", "b"), output(List.class, run("allOfThem", null)));
    }

    @Test
    void an_activity_that_no_worker_has_registered_fails() {
        List<?> got = output(List.class, run("forgiving", "nobody"));
        assertEquals(IllegalStateException.class.getName(), got.get(0));
        assertEquals("No activity task named 'nobody' is registered.", got.get(1));
    }

    @Test
    void an_orchestrator_that_no_worker_has_registered_fails() {
        assertEquals(OrchestrationRuntimeStatus.FAILED,
                run("nobody", 1).getRuntimeStatus());
    }

    private static Duration took(OrchestrationMetadata state) {
        return Duration.between(state.getCreatedAt(), state.getLastUpdatedAt());
    }

    private static void atLeast(int milliseconds, OrchestrationMetadata state) {
        assertTrue(took(state).toMillis() >= milliseconds, () -> "it took " + took(state));
    }

    @TestFactory
    Stream<DynamicTest> retries() {
        return Stream.of("retrying", "retryingByHand").map(name -> dynamicTest(
                "an activity that fails twice is tried three times: " + name, () -> {
                    OrchestrationMetadata state = run(name, Trial.of("twice", 3, 5));
                    assertEquals(3, output(int.class, state));
                    atLeast(40, state);
                }));
    }

    @Test
    void the_delay_between_attempts_grows_up_to_its_limit() {
        Trial trial = new Trial(newId("grow"), 5, 9, 50, 2, 150, 0);
        OrchestrationMetadata state = run("retrying", trial);
        assertEquals(5, output(int.class, state));
        atLeast(50 + 100 + 150 + 150, state);
    }

    @TestFactory
    Stream<DynamicTest> ends_of_retries() {
        return Stream.of("retrying", "retryingByHand").map(name -> dynamicTest(
                "retries end with the last attempt's failure: " + name, () -> {
                    Trial trial = Trial.of("ever", 99, 3);
                    failed(run(name, trial), TaskFailedException.class, "attempt 3");
                    assertEquals(3, tried.get(trial.key));
                }));
    }

    @Test
    void retries_end_when_their_time_is_over() {
        Trial trial = new Trial(newId("late"), 9999, 9999, 100, 1, 0, 250);
        failed(run("retrying", trial), TaskFailedException.class, "attempt");
        assertTrue(tried.get(trial.key) <= 4, () -> tried.get(trial.key) + " attempts");
    }

    @Test
    void retries_of_several_go_on_side_by_side() {
        assertEquals(List.of(3, 3, 3, 3, 3),
                output(List.class, run("retryingAtOnce", Trial.of("several", 3, 9))));
    }
}
