import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Time: timers, scheduled starts, a clock and random ids that replay. */
final class Time extends Room {
    private final Map<String, List<List<String>>> seen = new ConcurrentHashMap<>();

    private static long since(Instant start, TaskOrchestrationContext ctx) {
        return Duration.between(start, ctx.getCurrentInstant()).toMillis();
    }

    @Override
    void programs(Sdk.Programs programs) {
        programs.builder.maximumTimerInterval(Duration.ofMillis(300));
        programs.activity("nothing", ctx -> null);
        programs.orchestrator("sleeper", ctx -> {
            Instant start = ctx.getCurrentInstant();
            ctx.createTimer(Duration.ofMillis(ctx.getInput(long.class))).await();
            return since(start, ctx);
        }).orchestrator("longSleeper", ctx -> {
            // The SDK splits this timer; its own await() ends with the first part.
            Instant start = ctx.getCurrentInstant();
            ctx.allOf(ctx.createTimer(Duration.ofMillis(ctx.getInput(long.class)))).await();
            return since(start, ctx);
        }).orchestrator("sleeperUntil", ctx -> {
            Instant until = Instant.parse(ctx.getInput(String.class));
            ctx.createTimer(until.atZone(ZoneOffset.ofHours(3))).await();
            return ctx.getCurrentInstant().toString();
        }).orchestrator("inAnyOrder", ctx -> {
            Instant start = ctx.getCurrentInstant();
            Task<Void> late = ctx.createTimer(Duration.ofMillis(250));
            Task<Void> early = ctx.createTimer(Duration.ofMillis(100));
            early.await();
            long woken = since(start, ctx);
            late.await();
            return List.of(woken, since(start, ctx));
        }).orchestrator("manyTimers", ctx -> ctx.allOf(range(0, ctx.getInput(int.class))
            .stream().map(i -> ctx.createTimer(Duration.ofMillis(i))).toList())
            .await().size()
        ).orchestrator("leavesTimers", ctx -> {
            ctx.createTimer(Duration.ofMillis(50));
            ctx.createTimer(Duration.ofHours(1));
            ctx.callActivity("nothing").await();
            return "done";
        }).orchestrator("ticking", ctx -> {
            List<String> times = new ArrayList<>();
            times.add(ctx.getCurrentInstant().toString());
            for (int i = 0; i < 5; ++i) {
                ctx.callActivity("nothing").await();
                times.add(ctx.getCurrentInstant().toString());
            }
            return times;
        }).orchestrator("chancy", ctx -> {
            List<String> first = List.of(ctx.newUUID().toString(), ctx.newUUID().toString(),
                    ctx.getCurrentInstant().toString());
            seen.computeIfAbsent(ctx.getInstanceId(), id -> new ArrayList<>()).add(first);
            ctx.callActivity("nothing").await();
            ctx.createTimer(Duration.ofMillis(20)).await();
            return first;
        }).orchestrator("awaiting", ctx ->
            ctx.waitForExternalEvent("go", String.class).await());
    }

    private String startAt(Instant at, String name, Object input) {
        return client.scheduleNewOrchestrationInstance(name,
                options(newId(name), input).setStartTime(at));
    }

    private void sleeps(String sleeper, int milliseconds) {
        Instant start = Instant.now();
        OrchestrationMetadata state = run(sleeper, milliseconds);
        long slept = output(long.class, state);
        assertTrue(slept >= milliseconds, "the orchestrator slept " + slept + " ms");
        assertTrue(Duration.between(start, Instant.now()).toMillis() >= milliseconds);
    }

    @Test
    void a_timer_fires_and_never_early() {
        sleeps("sleeper", 200);
    }

    @Test
    void a_long_timer_is_several_short_ones_and_never_early() {
        sleeps("longSleeper", 1000);
    }

    @Test
    void a_timer_for_now_fires_at_once() {
        sleeps("sleeper", 0);
    }

    @Test
    void a_timer_may_be_set_to_a_moment() {
        Instant until = Instant.now().plusMillis(250).truncatedTo(ChronoUnit.MILLIS);
        String woken = output(String.class, run("sleeperUntil", until.toString()));
        assertTrue(!Instant.parse(woken).isBefore(until), "woken at " + woken);
    }

    @Test
    void a_timer_of_the_past_fires_at_once() {
        output(String.class, run("sleeperUntil", "2001-01-01T00:00:00Z"));
    }

    @Test
    void timers_fire_in_the_order_of_their_times() {
        List<Integer> woken = numbers(run("inAnyOrder", null));
        assertTrue(woken.get(0) >= 100 && woken.get(0) < woken.get(1)
                && woken.get(1) >= 250, "woken after " + woken);
    }

    @Test
    void _200_timers_of_one_orchestration_all_fire() {
        assertEquals(200, output(int.class, run("manyTimers", 200)));
    }

    @Test
    void timers_of_100_orchestrations_all_fire() {
        List<String> ids = range(0, 100).stream().map(i -> start("sleeper", 200)).toList();
        ids.forEach(id -> assertTrue(output(long.class, end(id)) >= 200));
    }

    @Test
    void timers_that_nobody_waits_for_do_not_hold_an_orchestration() {
        OrchestrationMetadata state = run("leavesTimers", null);
        assertEquals("done", output(String.class, state));
        pause(300);
        same(state, state(state.getInstanceId()));
    }

    @Test
    void the_clock_goes_forward_with_every_turn() {
        List<Instant> times = Stream.of(output(String[].class, run("ticking", null)))
                .map(Instant::parse).toList();
        for (int i = 1; i < times.size(); ++i) {
            assertTrue(times.get(i - 1).isBefore(times.get(i)), "turns at " + times);
        }
    }

    @Test
    void a_replay_sees_the_same_time_and_the_same_random_ids() {
        OrchestrationMetadata state = run("chancy", null);
        List<?> last = output(List.class, state);
        List<List<String>> replays = seen.get(state.getInstanceId());
        assertTrue(replays.size() >= 3, "there was no replay");
        replays.forEach(replay -> assertEquals(last, replay));
        assertEquals(3, new HashSet<>(last).size());
        assertNotEquals(last.get(0), output(List.class, run("chancy", null)).get(0));
    }

    @Test
    void a_start_in_the_future_stays_pending_until_then() throws TimeoutException {
        Instant at = Instant.now().plusMillis(1200);
        String id = startAt(at, "sleeper", 0);
        OrchestrationMetadata early = state(id);
        if (Instant.now().isBefore(at)) {
            assertEquals(OrchestrationRuntimeStatus.PENDING, early.getRuntimeStatus());
        }
        OrchestrationMetadata started = client.waitForInstanceStart(id, PATIENCE);
        assertTrue(!Instant.now().isBefore(at), "it started early");
        assertNotEquals(OrchestrationRuntimeStatus.PENDING, started.getRuntimeStatus());
        output(long.class, end(id));
    }

    @Test
    void a_wait_for_a_start_that_runs_out_is_an_error_of_the_client() {
        String id = startAt(Instant.now().plusSeconds(3600), "sleeper", 0);
        assertThrows(TimeoutException.class,
                () -> client.waitForInstanceStart(id, Duration.ofMillis(200)));
        hasStatus(OrchestrationRuntimeStatus.PENDING, id);
    }

    @Test
    void a_start_in_the_past_is_a_start_now() {
        Instant past = Instant.parse("2001-01-01T00:00:00Z");
        output(long.class, end(startAt(past, "sleeper", 0)));
    }

    @Test
    void an_event_for_one_that_has_not_started_yet_waits_for_it() {
        Instant at = Instant.now().plusMillis(700);
        String id = startAt(at, "awaiting", null);
        client.raiseEvent(id, "go", "at last");
        assertEquals("at last", output(String.class, end(id)));
        assertTrue(!Instant.now().isBefore(at), "it started early");
    }

    @Test
    void one_that_has_not_started_yet_can_be_terminated_at_once() {
        String id = startAt(Instant.now().plusSeconds(3600), "awaiting", null);
        client.terminate(id, "too late");
        OrchestrationMetadata state = end(id);
        assertEquals(OrchestrationRuntimeStatus.TERMINATED, state.getRuntimeStatus());
        assertEquals("too late", state.readOutputAs(String.class));
    }
}
