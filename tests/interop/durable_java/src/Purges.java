import static com.microsoft.durabletask.OrchestrationRuntimeStatus.COMPLETED;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.FAILED;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.PENDING;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.RUNNING;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.SUSPENDED;
import static com.microsoft.durabletask.OrchestrationRuntimeStatus.TERMINATED;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.OrchestrationStatusQuery;
import com.microsoft.durabletask.PurgeInstanceCriteria;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What takes many away at once: alone on its server, which may be wiped. */
final class Purges extends Lives {
    private int purge(Instant from, Instant to, OrchestrationRuntimeStatus... statuses)
            throws TimeoutException {
        return client.purgeInstances(new PurgeInstanceCriteria().setCreatedTimeFrom(from)
                .setCreatedTimeTo(to).setRuntimeStatusList(List.of(statuses))
                .setTimeout(Duration.ofMinutes(1))).getDeletedInstanceCount();
    }

    private static Instant now() {
        pause(20);
        Instant now = Instant.now();
        pause(20);
        return now;
    }

    @Test
    void a_purge_by_filter_takes_what_it_says_and_a_new_hub_has_nothing()
            throws TimeoutException {
        Map<OrchestrationRuntimeStatus, String> ids = new TreeMap<>();
        Instant from = now();
        Stream.concat(ENDED.stream(), ACTIVE.stream()).forEach(
                status -> ids.put(status, leftIn(status)));
        Instant to = now();
        String later = leftIn(COMPLETED);

        assertEquals(1, purge(from, to, FAILED));
        assertEquals(0, purge(from, to, FAILED));
        isGone(ids.get(FAILED));
        assertEquals(0, purge(from, to, RUNNING, SUSPENDED, PENDING));
        hasStatus(COMPLETED, ids.get(COMPLETED));
        assertEquals(2, purge(from, to));
        isGone(ids.get(COMPLETED));
        isGone(ids.get(TERMINATED));
        hasStatus(COMPLETED, later);
        assertEquals(1, purge(from, null, COMPLETED));
        ACTIVE.forEach(status -> hasStatus(status, ids.get(status)));

        client.createTaskHub(false);
        ACTIVE.forEach(status -> hasStatus(status, ids.get(status)));
        client.createTaskHub(true);
        assertEquals(List.of(), client.queryInstances(new OrchestrationStatusQuery())
                .getOrchestrationState());
        assertEquals(1, output(int.class, run("echo", 1)));
        client.deleteTaskHub();
        assertEquals(List.of(), client.queryInstances(new OrchestrationStatusQuery())
                .getOrchestrationState());
    }
}
