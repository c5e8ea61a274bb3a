import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.fail;

import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.NewOrchestrationInstanceOptions;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.TestInstance;

/**
 * A room of tests: their names are the promises, they share a client and a worker, and they
 * run side by side, as most of their time is waiting.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
abstract class Room {
    static final Duration PATIENCE = Duration.ofSeconds(120);

    final DurableTaskClient client = Sdk.client();
    private Sdk.Worker worker;

    /** What this room's worker can do; one without any has no worker. */
    void programs(Sdk.Programs programs) {}

    boolean hasWorker() {
        return true;
    }

    @BeforeAll
    void open() {
        if (hasWorker()) {
            Sdk.Programs programs = new Sdk.Programs();
            programs(programs);
            worker = programs.start();
        }
    }

    @AfterAll
    void close() {
        if (worker != null) {
            worker.close();
        }
    }

    static String newId(String name) {
        return name + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    static NewOrchestrationInstanceOptions options(String id, Object input) {
        return new NewOrchestrationInstanceOptions().setInstanceId(id).setInput(input);
    }

    String start(String name, Object input) {
        return start(name, input, newId(name));
    }

    String start(String name, Object input, String id) {
        return client.scheduleNewOrchestrationInstance(name, input, id);
    }

    OrchestrationMetadata end(String id) {
        try {
            return client.waitForInstanceCompletion(id, PATIENCE, true);
        } catch (TimeoutException timeout) {
            return fail("waited for the end of " + id);
        }
    }

    /** Starts one and waits for its end. */
    OrchestrationMetadata run(String name, Object input) {
        return end(start(name, input));
    }

    OrchestrationMetadata state(String id) {
        return client.getInstanceMetadata(id, true);
    }

    /** What it returned, which has to have completed. */
    static <T> T output(Class<T> type, OrchestrationMetadata state) {
        assertEquals(OrchestrationRuntimeStatus.COMPLETED, state.getRuntimeStatus(),
                () -> state + ": " + state.getFailureDetails().getErrorMessage());
        return state.readOutputAs(type);
    }

    static List<Integer> numbers(OrchestrationMetadata state) {
        return Arrays.asList(output(Integer[].class, state));
    }

    static List<Integer> range(int from, int to) {
        return IntStream.range(from, to).boxed().toList();
    }

    static void failed(OrchestrationMetadata state, Class<?> type, String text) {
        assertEquals(OrchestrationRuntimeStatus.FAILED, state.getRuntimeStatus());
        assertEquals(type.getName(), state.getFailureDetails().getErrorType());
        if (!state.getFailureDetails().getErrorMessage().contains(text)) {
            fail("wanted " + text + " in " + state.getFailureDetails().getErrorMessage());
        }
    }

    /** The server answers with this code and text. */
    static void refused(Status.Code code, String text, Runnable call) {
        StatusRuntimeException error = assertThrows(
                StatusRuntimeException.class, call::run);
        assertEquals(code, error.getStatus().getCode());
        String description = String.valueOf(error.getStatus().getDescription());
        if (!description.contains(text)) {
            fail("wanted " + text + " in " + description);
        }
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void await(String what, Condition condition) {
        try {
            for (long end = System.nanoTime() + PATIENCE.toNanos(); !condition.holds();
                    Thread.sleep(20)) {
                if (System.nanoTime() > end) {
                    fail("waited for " + what);
                }
            }
        } catch (Exception error) {
            fail("waited for " + what, error);
        }
    }

    OrchestrationMetadata until(String id, String what,
            Predicate<OrchestrationMetadata> so) {
        await(id + " to be " + what, () -> so.test(state(id)));
        return state(id);
    }

    void untilStatus(String id, OrchestrationRuntimeStatus wanted) {
        until(id, wanted.name(), state -> state.isInstanceFound()
                && state.getRuntimeStatus() == wanted);
    }

    void untilCustomStatus(String id, Object wanted) {
        until(id, "at " + wanted, state -> state.isCustomStatusFetched()
                && wanted.equals(state.readCustomStatusAs(wanted.getClass())));
    }

    void hasStatus(OrchestrationRuntimeStatus wanted, String id) {
        assertEquals(wanted, state(id).getRuntimeStatus(), id);
    }

    void isGone(String id) {
        assertFalse(state(id).isInstanceFound(), id);
    }

    /** Both say the same in all that can be seen. */
    static void same(OrchestrationMetadata wanted, OrchestrationMetadata got) {
        assertEquals(wanted.toString(), got.toString());
        assertEquals(wanted.getSerializedOutput(), got.getSerializedOutput());
        assertEquals(wanted.getFailureDetails().getErrorMessage(),
                got.getFailureDetails().getErrorMessage());
    }

    static void pause(int milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            fail(error);
        }
    }
}
