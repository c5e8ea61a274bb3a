import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The life of an instance seen from outside: start, look, suspend, end, start again. */
final class Lifecycle extends Lives {
    @Override
    void programs(Sdk.Programs programs) {
        super.programs(programs);
        programs.orchestrator("collecting", ctx -> {
            int sum = 0;
            for (int i = 0; i < 3; ++i) {
                ctx.setCustomStatus(sum);
                sum = 10 * sum + ctx.waitForExternalEvent("item", Integer.class).await();
            }
            return sum;
        });
    }

    @Test
    void the_state_says_what_is_known() throws TimeoutException {
        Instant before = Instant.now();
        String id = start("awaiting", Map.of("a", 1));
        OrchestrationMetadata started = client.waitForInstanceStart(id, PATIENCE, true);
        assertEquals(id, started.getInstanceId());
        assertEquals("awaiting", started.getName());
        assertEquals(OrchestrationRuntimeStatus.RUNNING, started.getRuntimeStatus());
        assertEquals(Map.of("a", 1), started.readInputAs(Map.class));
        assertEquals(null, started.readOutputAs(Object.class));
        assertTrue(started.isRunning() && !started.isCompleted());
        assertTrue(Duration.between(before, started.getCreatedAt()).abs().toSeconds() < 60);
        client.raiseEvent(id, "go", "done");
        OrchestrationMetadata ended = end(id);
        assertEquals("done", output(String.class, ended));
        assertTrue(ended.isCompleted() && !ended.isRunning());
        assertEquals(started.getCreatedAt(), ended.getCreatedAt());
        assertFalse(ended.getLastUpdatedAt().isBefore(started.getLastUpdatedAt()));
        same(ended, state(id));
    }

    @Test
    void payloads_are_left_out_if_they_are_not_asked_for() throws TimeoutException {
        String id = leftIn(OrchestrationRuntimeStatus.FAILED);
        for (OrchestrationMetadata state : List.of(client.getInstanceMetadata(id, false),
                client.waitForInstanceStart(id, PATIENCE),
                client.waitForInstanceCompletion(id, PATIENCE, false))) {
            assertEquals(OrchestrationRuntimeStatus.FAILED, state.getRuntimeStatus());
            assertEquals("", state.getSerializedInput());
            assertEquals("", state.getSerializedOutput());
            assertEquals("", state.getFailureDetails().getErrorMessage());
        }
    }

    @Test
    void an_instance_that_does_not_exist_is_not_found_at_once() throws TimeoutException {
        String id = newId("nobody");
        isGone(id);
        assertFalse(client.waitForInstanceStart(id, PATIENCE).isInstanceFound());
        assertFalse(end(id).isInstanceFound());
    }

    @Test
    void an_id_that_is_not_given_is_made() {
        assertNotEquals(client.scheduleNewOrchestrationInstance("echo", 1),
                client.scheduleNewOrchestrationInstance("echo", 2));
    }

    @TestFactory
    Stream<DynamicTest> ids() {
        Stream<String> all = Stream.of("Zoë/東京?x=1#%20 'a'", "a@b", "A", "a", "0");
        return all.map(id -> dynamicTest(
                "the id " + id + " is one like any other", () -> {
                    assertEquals(id, start("echo", id, id));
                    OrchestrationMetadata state = end(id);
                    assertEquals(id, output(String.class, state));
                    assertEquals(id, state.getInstanceId());
                }));
    }

    @Test
    void an_id_of_100_characters_is_taken_a_longer_one_refused() {
        String id = newId("long");
        String full = id + "x".repeat(100 - id.length());
        start("echo", 1, full);
        refused(Status.Code.INVALID_ARGUMENT, "length", () -> start("echo", 1, full + "x"));
    }

    @Test
    void a_start_may_have_a_version() {
        String id = client.scheduleNewOrchestrationInstance("echo",
                options(newId("versioned"), 1).setVersion("2.1"));
        assertEquals(1, output(int.class, end(id)));
    }

    @Test
    void a_wait_that_runs_out_is_an_error_of_the_client_the_instance_goes_on() {
        String id = start("awaiting", null);
        assertThrows(TimeoutException.class,
                () -> client.waitForInstanceCompletion(id, Duration.ofMillis(200), true));
        client.raiseEvent(id, "go", 1);
        assertEquals(1, output(int.class, end(id)));
    }

    @Test
    void everybody_who_waits_is_answered() throws InterruptedException {
        String id = start("awaiting", null);
        int[] outputs = new int[30];
        List<Thread> waiting = range(0, outputs.length).stream().map(i -> new Thread(
                () -> outputs[i] = end(id).readOutputAs(int.class))).toList();
        waiting.forEach(Thread::start);
        untilCustomStatus(id, "waiting");
        client.raiseEvent(id, "go", 5);
        for (Thread thread : waiting) {
            thread.join();
        }
        for (int one : outputs) {
            assertEquals(5, one);
        }
    }

    @Test
    void _200_started_at_once_all_end() {
        List<String> ids = range(0, 200).stream().map(i -> start("echo", i)).toList();
        range(0, 200).forEach(i -> assertEquals(i, output(int.class, end(ids.get(i)))));
    }

    @TestFactory
    Stream<DynamicTest> ids_in_use() {
        return ACTIVE.stream().map(status -> dynamicTest(
                "while one is " + status + " its id is in use", () -> {
                    String id = leftIn(status);
                    refused(Status.Code.ALREADY_EXISTS,
                            "orchestration instance already exists",
                            () -> start("echo", 1, id));
                    hasStatus(status, id);
                }));
    }

    @TestFactory
    Stream<DynamicTest> ids_that_are_free_again() {
        return ENDED.stream().map(status -> dynamicTest(
                "after one has " + status + " a new one takes its place", () -> {
                    String id = leftIn(status);
                    assertEquals(id, start("echo", "new", id));
                    OrchestrationMetadata state = end(id);
                    assertEquals("new", output(String.class, state));
                    assertEquals("", state.getFailureDetails().getErrorMessage());
                    assertFalse(state.isCustomStatusFetched());
                }));
    }

    @TestFactory
    Stream<DynamicTest> restarts() {
        return ENDED.stream().map(status -> dynamicTest(
                "one that has " + status + " starts over as itself or a new one", () -> {
                    String id = leftIn(status);
                    OrchestrationMetadata old = state(id);
                    String other = client.restartInstance(id, true);
                    assertNotEquals(id, other);
                    assertEquals(id, client.restartInstance(id, false));
                    for (String one : List.of(id, other)) {
                        OrchestrationMetadata again = state(one);
                        assertEquals(old.getName(), again.getName());
                        assertEquals(old.getSerializedInput(), again.getSerializedInput());
                        client.raiseEvent(one, "go", "on");
                        assertTrue(end(one).isCompleted());
                    }
                }));
    }

    @Test
    void one_that_runs_starts_over_under_a_new_id_only() {
        String id = leftIn(OrchestrationRuntimeStatus.RUNNING);
        String other = client.restartInstance(id, true);
        untilCustomStatus(other, "waiting");
        refused(Status.Code.ALREADY_EXISTS, "", () -> client.restartInstance(id, false));
        hasStatus(OrchestrationRuntimeStatus.RUNNING, id);
    }

    @Test
    void one_that_does_not_exist_cannot_start_over() {
        String id = newId("nobody");
        assertThrows(IllegalArgumentException.class,
                () -> client.restartInstance(id, false));
    }

    @Test
    void one_that_is_suspended_does_nothing_until_it_is_resumed() {
        String id = start("collecting", null);
        client.raiseEvent(id, "item", 1);
        untilCustomStatus(id, 1);
        client.suspendInstance(id, "a pause");
        untilStatus(id, OrchestrationRuntimeStatus.SUSPENDED);
        client.raiseEvent(id, "item", 2);
        pause(300);
        hasStatus(OrchestrationRuntimeStatus.SUSPENDED, id);
        client.resumeInstance(id, "go on");
        untilCustomStatus(id, 12);
        hasStatus(OrchestrationRuntimeStatus.RUNNING, id);
        client.raiseEvent(id, "item", 3);
        assertEquals(123, output(int.class, end(id)));
    }

    @Test
    void suspending_twice_and_resuming_once_is_resumed() {
        String id = leftIn(OrchestrationRuntimeStatus.SUSPENDED);
        client.suspendInstance(id);
        client.raiseEvent(id, "go", 1);
        client.resumeInstance(id);
        assertEquals(1, output(int.class, end(id)));
    }

    @Test
    void resuming_one_that_runs_is_no_harm() {
        String id = leftIn(OrchestrationRuntimeStatus.RUNNING);
        client.resumeInstance(id);
        client.raiseEvent(id, "go", 1);
        assertEquals(1, output(int.class, end(id)));
    }

    @Test
    void one_that_is_suspended_can_be_terminated() {
        String id = leftIn(OrchestrationRuntimeStatus.SUSPENDED);
        client.terminate(id, "enough");
        OrchestrationMetadata state = end(id);
        assertEquals(OrchestrationRuntimeStatus.TERMINATED, state.getRuntimeStatus());
        assertEquals("enough", state.readOutputAs(String.class));
    }

    @Test
    void a_termination_may_have_an_output() {
        String id = leftIn(OrchestrationRuntimeStatus.RUNNING);
        client.terminate(id, Map.of("why", List.of("enough")));
        OrchestrationMetadata state = end(id);
        assertEquals(OrchestrationRuntimeStatus.TERMINATED, state.getRuntimeStatus());
        assertEquals("{\"why\":[\"enough\"]}", state.getSerializedOutput());
    }

    @TestFactory
    Stream<DynamicTest> what_has_ended() {
        return ENDED.stream().map(status -> dynamicTest(
                "what has " + status + " stays so", () -> {
                    String id = leftIn(status);
                    OrchestrationMetadata state = state(id);
                    client.terminate(id, "again");
                    client.suspendInstance(id);
                    client.resumeInstance(id);
                    client.raiseEvent(id, "go");
                    pause(100);
                    same(state, state(id));
                }));
    }

    @TestFactory
    Stream<DynamicTest> purges() {
        return ENDED.stream().map(status -> dynamicTest(
                "a purge takes one that has " + status + ", its id is free", () -> {
                    String id = leftIn(status);
                    assertEquals(1, client.purgeInstance(id).getDeletedInstanceCount());
                    isGone(id);
                    assertEquals(0, client.purgeInstance(id).getDeletedInstanceCount());
                    start("echo", 7, id);
                    assertEquals(7, output(int.class, end(id)));
                }));
    }

    @TestFactory
    Stream<DynamicTest> purges_of_nothing() {
        return ACTIVE.stream().map(status -> dynamicTest(
                "a purge takes nothing while one is " + status, () -> {
                    String id = leftIn(status);
                    assertEquals(0, client.purgeInstance(id).getDeletedInstanceCount());
                    hasStatus(status, id);
                }));
    }

    @Test
    void to_end_suspend_or_resume_one_that_does_not_exist_is_refused() {
        String id = newId("nobody");
        refused(Status.Code.NOT_FOUND, "", () -> client.terminate(id, null));
        refused(Status.Code.NOT_FOUND, "", () -> client.suspendInstance(id));
        refused(Status.Code.NOT_FOUND, "", () -> client.resumeInstance(id));
    }

    @Test
    void of_20_who_start_it_at_once_one_does() {
        String id = newId("race");
        long did = range(0, 20).parallelStream().filter(i -> {
            try {
                start("awaiting", i, id);
                return true;
            } catch (StatusRuntimeException error) {
                assertEquals(Status.Code.ALREADY_EXISTS, error.getStatus().getCode());
                return false;
            }
        }).count();
        assertEquals(1, did);
    }
}
