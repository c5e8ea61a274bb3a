import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import java.io.BufferedReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Several workers: who gets what, who is gone, who takes over. One test after the other, as
 * workers of this SDK cannot say what they have.
 */
@Execution(ExecutionMode.SAME_THREAD)
final class Workers extends Room {
    @Override
    boolean hasWorker() {
        return false;
    }

    private void stays(OrchestrationRuntimeStatus wanted, String id) {
        pause(300);
        hasStatus(wanted, id);
    }

    private static Sdk.Programs waits() {
        return new Sdk.Programs().orchestrator("waits", ctx -> List.of(
                ctx.waitForExternalEvent("go", Integer.class).await(),
                ctx.waitForExternalEvent("go", Integer.class).await()));
    }

    @Test
    void work_waits_for_a_worker() {
        String id = start("patient", 1);
        stays(OrchestrationRuntimeStatus.PENDING, id);
        try (Sdk.Worker worker = new Sdk.Programs().orchestrator("patient",
                ctx -> ctx.getInput(int.class)).start()) {
            assertEquals(1, output(int.class, end(id)));
        }
    }

    @Test
    void a_worker_that_is_gone_and_comes_back_goes_on() {
        String id = start("waits", null);
        try (Sdk.Worker worker = waits().start()) {
            untilStatus(id, OrchestrationRuntimeStatus.RUNNING);
            client.raiseEvent(id, "go", 1);
        }
        client.raiseEvent(id, "go", 2);
        stays(OrchestrationRuntimeStatus.RUNNING, id);
        try (Sdk.Worker worker = waits().start()) {
            assertEquals(List.of(1, 2), numbers(end(id)));
        }
    }

    private static Sdk.Programs share(AtomicInteger did) {
        return new Sdk.Programs().orchestrator("shared", ctx -> ctx.allOf(
                range(0, 40).stream().map(i -> ctx.callActivity("share", i, Integer.class))
                        .toList()).await()
        ).activity("share", ctx -> {
            did.incrementAndGet();
            pause(2);
            return ctx.getInput(int.class);
        });
    }

    @Test
    void two_workers_share_the_work() {
        AtomicInteger a = new AtomicInteger();
        AtomicInteger b = new AtomicInteger();
        try (Sdk.Worker one = share(a).start(); Sdk.Worker other = share(b).start()) {
            await("both to work", () -> {
                assertEquals(range(0, 40), numbers(run("shared", null)));
                return a.get() > 20 && b.get() > 20;
            });
        }
    }

    @Test
    void a_worker_may_have_an_orchestrator_for_any_name() {
        try (Sdk.Worker worker = new Sdk.Programs().orchestrator("*",
                ctx -> ctx.getName()).start()) {
            String name = "any name, 東京";
            assertEquals(name, output(String.class, run(name, 1)));
        }
    }

    private static Sdk.Programs big() {
        return new Sdk.Programs().orchestrator("history", ctx -> {
            int size = 0;
            for (int i = 0; i < 12; ++i) {
                size += ctx.callActivity("make", 1 << 20, String.class).await().length();
            }
            return size;
        }).orchestrator("answer", ctx -> ctx.allOf(range(0, 24).stream().map(i ->
            ctx.callActivity("sizeOf", "x".repeat(1 << 19), Integer.class)).toList())
            .await().stream().mapToInt(Integer::intValue).sum()
        ).activity("make", ctx -> "x".repeat(ctx.getInput(int.class))
        ).activity("sizeOf", ctx -> ctx.getInput(String.class).length());
    }

    @Test
    void a_history_of_12_MiB_reaches_a_worker_that_takes_it() {
        try (Sdk.Worker worker = big().start(Sdk.LARGE_MESSAGE)) {
            assertEquals(12 << 20, output(int.class, run("history", null)));
        }
    }

    @Test
    void an_answer_of_12_MiB_is_one_turn() {
        try (Sdk.Worker worker = big().start(Sdk.LARGE_MESSAGE)) {
            assertEquals(12 << 20, output(int.class, run("answer", null)));
        }
    }

    /** An error, to this SDK, is the end of its stream, which it leaves open. */
    @Test
    void a_result_for_one_that_was_purged_is_dropped_and_its_worker_goes_on() {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        Stream<Sdk.Programs> both = Stream.generate(() -> new Sdk.Programs().orchestrator(
                "holding", ctx -> ctx.callActivity("hold", ctx.getInput(boolean.class),
                        String.class).await()
        ).activity("hold", ctx -> {
            if (ctx.getInput(boolean.class)) {
                begun.countDown();
                try {
                    release.await();
                } catch (InterruptedException end) {
                    return "interrupted";
                }
            }
            return "held";
        })).limit(2);
        List<Sdk.Worker> workers = both.map(Sdk.Programs::start).toList();
        try {
            String id = start("holding", true);
            await("an activity to begin", () -> begun.getCount() == 0);
            client.terminate(id, null);
            end(id);
            assertEquals(1, client.purgeInstance(id).getDeletedInstanceCount());
            release.countDown();
            range(0, 40).stream().map(i -> start("holding", false)).toList().forEach(
                    one -> assertEquals("held", output(String.class, end(one))));
        } finally {
            workers.forEach(Sdk.Worker::close);
        }
    }

    /** A worker in a process of its own, and what it says. */
    private static final class OwnProcess implements AutoCloseable {
        final Set<String> said = ConcurrentHashMap.newKeySet();
        private final Process process;

        OwnProcess(String... args) throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    System.getProperty("java.home") + "/bin/java", "-cp",
                    System.getProperty("java.class.path"), "-Daddress=" + Sdk.ADDRESS,
                    KillableWorker.class.getName()));
            command.addAll(List.of(args));
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
            BufferedReader lines = process.inputReader();
            new Thread(() -> lines.lines().forEach(said::add)).start();
        }

        @Override
        public void close() {
            process.destroyForcibly(); // SIGKILL
            process.onExit().join();
        }
    }

    @TestFactory
    Stream<DynamicTest> killed() {
        return Stream.of("turn", "task").map(what -> dynamicTest(
                "a worker is killed amid a " + what + ", another does its work", () -> {
                    List<String> ids = new ArrayList<>();
                    try (OwnProcess good = new OwnProcess("good")) {
                        try (OwnProcess stuck = new OwnProcess("stuck", what)) {
                            await("both to work", () -> {
                                boolean isStuck = stuck.said.contains("stuck " + what);
                                // Another one only once it is needed: they may take long
                                // to begin.
                                long open = ids.stream().filter(
                                        id -> !state(id).isCompleted()).count();
                                if (open <= (isStuck ? 1 : 0)) {
                                    ids.add(start("killable", 10));
                                }
                                return isStuck && good.said.contains("good task");
                            });
                        }
                        for (String id : ids) {
                            assertEquals(range(0, 10), numbers(end(id)));
                        }
                        assertTrue(good.said.contains("good turn"));
                    }
                }));
    }
}
