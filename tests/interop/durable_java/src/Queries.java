import static com.microsoft.durabletask.OrchestrationRuntimeStatus.COMPLETED;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.FAILED;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.RUNNING;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.SUSPENDED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.OrchestrationStatusQuery;
import com.microsoft.durabletask.OrchestrationStatusQueryResult;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Many instances at once: queries by filter, and page by page. */
final class Queries extends Lives {
    private final String prefix = newId("q");
    private final List<String> completed = range(0, 7).stream().map(
            i -> prefix + "-completed-" + i).toList();
    private final List<String> failed = range(0, 3).stream().map(
            i -> prefix + "-failed-" + i).toList();
    private final List<String> running = range(0, 4).stream().map(
            i -> prefix + "-running-" + i).toList();
    private Instant middle; // Those that end well are older, the others younger.

    @BeforeAll
    void start() {
        completed.forEach(id -> leftIn(COMPLETED, id));
        pause(20);
        middle = Instant.now();
        pause(20);
        failed.forEach(id -> leftIn(FAILED, id));
        running.forEach(id -> leftIn(RUNNING, id));
    }

    private static List<String> all(List<List<String>> parts) {
        return parts.stream().flatMap(List::stream).sorted().toList();
    }

    private OrchestrationStatusQuery mine() {
        return new OrchestrationStatusQuery().setInstanceIdPrefix(prefix);
    }

    private OrchestrationStatusQuery mine(OrchestrationRuntimeStatus... statuses) {
        return mine().setRuntimeStatusList(List.of(statuses));
    }

    /** Page by page to the end: the states. */
    private List<OrchestrationMetadata> states(OrchestrationStatusQuery query) {
        List<OrchestrationMetadata> states = new ArrayList<>();
        String token = null;
        do {
            OrchestrationStatusQueryResult page = client.queryInstances(
                    query.setContinuationToken(token));
            assertTrue(page.getOrchestrationState().size() <= query.getMaxInstanceCount());
            states.addAll(page.getOrchestrationState());
            token = page.getContinuationToken();
        } while (token != null && !token.isEmpty());
        return states;
    }

    private List<String> ids(OrchestrationStatusQuery query) {
        return states(query).stream().map(OrchestrationMetadata::getInstanceId).sorted()
                .toList();
    }

    @Test
    void without_a_filter_everything_is_there() {
        assertTrue(ids(new OrchestrationStatusQuery()).containsAll(
                all(List.of(completed, failed, running))));
    }

    @Test
    void by_prefix_of_the_id() {
        assertEquals(all(List.of(completed, failed, running)), ids(mine()));
        assertEquals(failed, ids(mine().setInstanceIdPrefix(prefix + "-f")));
        assertEquals(List.of(), ids(mine().setInstanceIdPrefix(newId("nobody"))));
    }

    @Test
    void by_status_one_or_several() {
        assertEquals(completed, ids(mine(COMPLETED)));
        assertEquals(running, ids(mine(RUNNING)));
        assertEquals(all(List.of(failed, running)), ids(mine(FAILED, RUNNING)));
        assertEquals(List.of(), ids(mine(SUSPENDED)));
    }

    @Test
    void by_time_of_creation() {
        assertEquals(completed, ids(mine().setCreatedTimeTo(middle)));
        assertEquals(all(List.of(failed, running)), ids(mine().setCreatedTimeFrom(middle)));
        assertEquals(List.of(), ids(mine(COMPLETED).setCreatedTimeFrom(middle)));
        Instant later = Instant.now().plusSeconds(99);
        assertEquals(List.of(), ids(mine().setCreatedTimeFrom(later)));
    }

    @Test
    void names_of_task_hubs_are_no_filter() {
        assertEquals(ids(mine()), ids(mine().setTaskHubNames(List.of("other"))));
    }

    @TestFactory
    Stream<DynamicTest> pages() {
        return Stream.of(1, 3, 14, 15).map(size -> dynamicTest(
                "pages of " + size + " hold each instance once", () -> assertEquals(
                        ids(mine()), ids(mine().setMaxInstanceCount(size)))));
    }

    @Test
    void payloads_are_there_if_they_are_asked_for() {
        for (OrchestrationMetadata state
                : states(mine(COMPLETED).setFetchInputsAndOutputs(true))) {
            same(state(state.getInstanceId()), state);
            assertEquals(1, state.readInputAs(int.class));
            assertEquals(1, state.readOutputAs(int.class));
        }
        for (OrchestrationMetadata state
                : states(mine(FAILED).setFetchInputsAndOutputs(true))) {
            assertEquals("as it must", state.getFailureDetails().getErrorMessage());
        }
        for (OrchestrationMetadata state : states(mine(COMPLETED))) {
            assertEquals("", state.getSerializedInput());
            assertThrows(IllegalStateException.class, () -> state.readOutputAs(int.class));
        }
    }
}
