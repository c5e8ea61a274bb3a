import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskCanceledException;
import com.microsoft.durabletask.TaskOrchestrationContext;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** External events, custom status, continue-as-new. */
final class Events extends Room {
    record Countdown(int left, int sum) {}

    record Message(String to, String name, Object data) {}

    private static String decided(TaskOrchestrationContext ctx, Duration most) {
        try {
            return ctx.waitForExternalEvent("decision", most, String.class).await();
        } catch (TaskCanceledException error) {
            return "too late";
        }
    }

    @Override
    void programs(Sdk.Programs programs) {
        programs.activity("addOne", ctx -> ctx.getInput(int.class) + 1);
        programs.orchestrator("awaitsOne", ctx -> {
            ctx.setCustomStatus("waiting");
            String name = ctx.getInput(String.class);
            return ctx.waitForExternalEvent(name, Object.class).await();
        }).orchestrator("awaitsVoid", ctx -> {
            ctx.waitForExternalEvent("go").await();
            return "it came";
        }).orchestrator("awaitsMany", ctx -> {
            ctx.createTimer(Duration.ofMillis(300)).await();
            return ctx.allOf(range(0, ctx.getInput(int.class)).stream().map(
                    i -> ctx.waitForExternalEvent("number", Integer.class)).toList())
                    .await();
        }).orchestrator("awaitsDifferent", ctx -> ctx.allOf(Stream.of("a", "b", "c").map(
            name -> ctx.waitForExternalEvent(name, String.class)).toList()).await()
        ).orchestrator("awaitsAny", ctx -> {
            Task<String> yes = ctx.waitForExternalEvent("yes", String.class);
            Task<String> no = ctx.waitForExternalEvent("no", String.class);
            return ctx.anyOf(yes, no).await() == yes ? "yes" : "no";
        }).orchestrator("approval", ctx ->
            decided(ctx, Duration.ofMillis(ctx.getInput(long.class)))
        ).orchestrator("nowOrNever", ctx -> {
            ctx.waitForExternalEvent("go").await();
            return List.of(decided(ctx, Duration.ZERO), decided(ctx, Duration.ZERO));
        }).orchestrator("race", ctx -> {
            Task<String> event = ctx.waitForExternalEvent("go", String.class);
            Task<Void> timer = ctx.createTimer(Duration.ofMillis(ctx.getInput(long.class)));
            return ctx.anyOf(event, timer).await() == event ? event.await() : "nobody came";
        }).orchestrator("tells", ctx -> {
            Message message = ctx.getInput(Message.class);
            ctx.sendEvent(message.to, message.name, message.data);
            return "told";
        }).orchestrator("reporting", ctx -> {
            for (Object value : ctx.getInput(Object[].class)) {
                ctx.setCustomStatus(value);
                ctx.waitForExternalEvent("next").await();
            }
            return "reported";
        }).orchestrator("forgetting", ctx -> {
            ctx.setCustomStatus("there");
            ctx.waitForExternalEvent("next").await();
            ctx.clearCustomStatus();
            return "done";
        });
        generations(programs);
    }

    private static void generations(Sdk.Programs programs) {
        programs.orchestrator("countdown", ctx -> {
            Countdown in = ctx.getInput(Countdown.class);
            int sum = in.sum + ctx.callActivity("addOne", in.left, Integer.class).await();
            if (in.left > 0) {
                ctx.continueAsNew(new Countdown(in.left - 1, sum));
            }
            return sum;
        }).orchestrator("restless", ctx -> {
            int left = ctx.getInput(int.class);
            if (left > 0) {
                ctx.continueAsNew(left - 1, false);
            }
            return "done";
        }).orchestrator("leavesTimers", ctx -> {
            int round = ctx.getInput(int.class);
            ctx.createTimer(Duration.ofMillis(50));
            ctx.callActivity("addOne", 1);
            ctx.createTimer(Duration.ofMillis(100)).await();
            if (round < 2) {
                ctx.createTimer(Duration.ofMillis(10));
                ctx.continueAsNew(round + 1);
            }
            return round;
        });
        for (boolean keep : List.of(true, false)) {
            programs.orchestrator(keep ? "keeps" : "leaves", ctx -> {
                if (!ctx.getInput(boolean.class)) {
                    ctx.waitForExternalEvent("go").await();
                    ctx.continueAsNew(true, keep);
                }
                return decided(ctx, Duration.ofMillis(300));
            });
        }
    }

    @TestFactory
    Stream<DynamicTest> data() {
        Stream<Object> all = Stream.of("yes", 0, false, "東京", "",
                Map.of("deep", Arrays.asList(1, null)), "x".repeat((4 << 20) - (4 << 10)));
        return all.map(data -> dynamicTest(
                    "an event reaches one that waits: " + shortly(data), () -> {
                        String id = start("awaitsOne", "go");
                        untilCustomStatus(id, "waiting");
                        client.raiseEvent(id, "go", data);
                        assertEquals(data, output(Object.class, end(id)));
                    }));
    }

    private static String shortly(Object data) {
        String text = data.toString();
        return text.length() < 50 ? text : text.length() + " characters";
    }

    @Test
    void an_event_without_data_is_nothing() {
        String[] ids = {start("awaitsOne", "go"), start("awaitsVoid", null)};
        for (String id : ids) {
            client.raiseEvent(id, "go");
        }
        assertEquals(null, output(Object.class, end(ids[0])));
        assertEquals("it came", output(String.class, end(ids[1])));
    }

    @Test
    void events_that_come_before_they_are_awaited_are_kept_in_order() {
        String id = start("awaitsMany", 100);
        range(0, 100).forEach(n -> client.raiseEvent(id, "number", n));
        assertEquals(range(0, 100), numbers(end(id)));
    }

    @Test
    void events_of_several_names_in_any_order() {
        String id = start("awaitsDifferent", null);
        Stream.of("c", "a", "b").forEach(name -> client.raiseEvent(id, name, name));
        assertEquals(List.of("a", "b", "c"), output(List.class, end(id)));
    }

    @Test
    void one_of_two_events_is_enough() {
        String id = start("awaitsAny", null);
        client.raiseEvent(id, "no");
        assertEquals("no", output(String.class, end(id)));
    }

    @Test
    void an_event_nobody_waits_for_is_no_harm() {
        String id = start("awaitsOne", "go");
        client.raiseEvent(id, "other", 1);
        client.raiseEvent(id, "go", 2);
        assertEquals(2, output(int.class, end(id)));
    }

    @Test
    void an_event_in_time_wins_against_its_time_out() {
        String id = start("approval", 3_600_000);
        client.raiseEvent(id, "decision", "approved");
        assertEquals("approved", output(String.class, end(id)));
    }

    @Test
    void a_time_out_wins_against_an_event_that_does_not_come() {
        assertEquals("too late", output(String.class, run("approval", 200)));
    }

    @Test
    void without_any_time_to_wait_only_what_is_there_counts_in_any_case_of_its_name() {
        String id = start("nowOrNever", null);
        client.raiseEvent(id, "DECISION", "it is there");
        client.raiseEvent(id, "go");
        assertEquals(List.of("it is there", "too late"), output(List.class, end(id)));
    }

    @Test
    void an_event_and_a_timer_race_and_either_wins() {
        String id = start("race", 3_600_000);
        client.raiseEvent(id, "go", "in time");
        assertEquals("in time", output(String.class, end(id)));
        assertEquals("nobody came", output(String.class, run("race", 100)));
    }

    @Test
    void an_orchestration_can_raise_an_event_for_another() {
        String id = start("awaitsOne", "go");
        Message message = new Message(id, "go", Map.of("from", "a friend"));
        assertEquals("told", output(String.class, run("tells", message)));
        assertEquals(Map.of("from", "a friend"), output(Object.class, end(id)));
    }

    @Test
    void an_event_of_an_orchestration_for_nobody_is_no_harm() {
        Message message = new Message(newId("nobody"), "go", null);
        assertEquals("told", output(String.class, run("tells", message)));
    }

    @Test
    void an_event_for_an_instance_that_does_not_exist_is_refused() {
        refused(Status.Code.NOT_FOUND, "", () -> client.raiseEvent(newId("nobody"), "go"));
    }

    @Test
    void an_event_for_one_that_has_ended_is_no_harm() {
        OrchestrationMetadata state = run("restless", 0);
        client.raiseEvent(state.getInstanceId(), "go", 1);
        same(state, state(state.getInstanceId()));
    }

    @Test
    void _50_generations_pass_on_their_input_and_keep_the_birthday() {
        String id = start("countdown", new Countdown(50, 0));
        OrchestrationMetadata first = state(id);
        OrchestrationMetadata last = end(id);
        assertEquals(51 * 52 / 2, output(int.class, last));
        assertEquals(first.getCreatedAt(), last.getCreatedAt());
        assertEquals(0, last.readInputAs(Countdown.class).left);
    }

    @Test
    void _50_generations_that_do_nothing_else_end_all_the_same() {
        assertEquals("done", output(String.class, run("restless", 50)));
    }

    @Test
    void timers_and_activities_stay_behind_with_their_generation() {
        assertEquals(2, output(int.class, run("leavesTimers", 0)));
    }

    @TestFactory
    Stream<DynamicTest> what_comes_along() {
        return Map.of("keeps", "it came along", "leaves", "too late").entrySet().stream()
                .map(one -> dynamicTest(
                        "a generation " + one.getKey() + " what it did not look at", () -> {
                            String id = start(one.getKey(), false);
                            client.raiseEvent(id, "decision", "it came along");
                            client.raiseEvent(id, "go");
                            assertEquals(one.getValue(), output(String.class, end(id)));
                        }));
    }

    @Test
    void the_custom_status_is_seen_while_it_runs_and_stays_at_the_end() {
        List<Object> values = new ArrayList<>(List.of(
                1, "Zoë 東京 🍎", Map.of("step", 2), List.of(), "x".repeat(1 << 16)));
        String id = start("reporting", values);
        for (Object value : values) {
            until(id, "at " + shortly(value), state -> state.isCustomStatusFetched()
                    && value.equals(state.readCustomStatusAs(Object.class)));
            client.raiseEvent(id, "next");
        }
        OrchestrationMetadata state = end(id);
        assertEquals("reported", output(String.class, state));
        assertEquals(values.get(4), state.readCustomStatusAs(Object.class));
    }

    @Test
    void a_custom_status_can_be_taken_back() {
        String id = start("forgetting", null);
        untilCustomStatus(id, "there");
        client.raiseEvent(id, "next");
        OrchestrationMetadata state = end(id);
        assertEquals("done", output(String.class, state));
        assertTrue(!state.isCustomStatusFetched(), "it is there");
    }
}
