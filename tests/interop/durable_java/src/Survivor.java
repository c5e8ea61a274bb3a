import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * Work that outlives its server.
 *
 * <p>Starts orchestrations of every kind, says `did` for each activity and `done` once all
 * have ended as they should, however often the server has been killed meanwhile.
 */
final class Survivor {
    private static final int EACH = 8; // Orchestrations of a kind.
    private static final int STEPS = 20;
    private static final int EVENTS = 150;
    private static final int WORKERS = 4; // Each does one thing at a time.

    record Descent(int sum, int left) {}

    private final DurableTaskClient client = Sdk.client();

    private static Sdk.Programs programs() {
        return new Sdk.Programs().activity("addOne", ctx -> {
            Room.pause(20);
            System.out.println("did");
            return ctx.getInput(int.class) + 1;
        }).orchestrator("chain", ctx -> {
            int n = ctx.getInput(int.class);
            for (int i = 0; i < STEPS; ++i) {
                n = ctx.callActivity("addOne", n, Integer.class).await();
            }
            return n;
        }).orchestrator("sleeper", ctx -> {
            for (int i = 0; i < STEPS; ++i) {
                ctx.createTimer(Duration.ofMillis(200)).await();
            }
            return ctx.getInput(int.class);
        }).orchestrator("parent", ctx -> ctx.allOf(Room.range(0, 3).stream().map(i ->
            ctx.callSubOrchestrator("chain", i, Integer.class)).toList()).await()
        ).orchestrator("descent", ctx -> {
            Descent in = ctx.getInput(Descent.class);
            if (in.left > 0) {
                int sum = ctx.callActivity("addOne", in.sum, Integer.class).await();
                ctx.continueAsNew(new Descent(sum, in.left - 1));
            }
            return in.sum;
        }).orchestrator("collector", ctx -> {
            List<Integer> got = new ArrayList<>();
            while (got.isEmpty() || got.get(got.size() - 1) < EVENTS) {
                got.add(ctx.waitForExternalEvent("item", Integer.class).await());
            }
            return got;
        });
    }

    /** The call, again and again while there is no server. Whether it was needed. */
    private static boolean insist(Supplier<?> call) {
        for (boolean again = false;; again = true, Room.pause(100)) {
            try {
                call.get();
                return again;
            } catch (StatusRuntimeException error) {
                Status.Code code = error.getStatus().getCode();
                if (again && code == Status.Code.ALREADY_EXISTS) {
                    return again; // It was heard.
                }
                // A call that is sent as its connection breaks is UNKNOWN to this gRPC.
                if (code != Status.Code.UNAVAILABLE
                        && !(error.getCause() instanceof ClosedChannelException)) {
                    throw error;
                }
            }
        }
    }

    private String start(String name, Object input) {
        String id = Room.newId(name);
        insist(() -> client.scheduleNewOrchestrationInstance(name, input, id));
        return id;
    }

    private String result(String id) {
        OrchestrationMetadata[] state = {null};
        insist(() -> {
            try {
                return state[0] = client.waitForInstanceCompletion(id, Room.PATIENCE, true);
            } catch (TimeoutException error) {
                throw new IllegalStateException(id + " does not end", error);
            }
        });
        if (state[0].getRuntimeStatus() != OrchestrationRuntimeStatus.COMPLETED) {
            throw new IllegalStateException("this is lost: " + state[0]);
        }
        return state[0].getSerializedOutput();
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private void survive() {
        Map<String, String> wanted = new HashMap<>();
        for (int n = 0; n < EACH; ++n) {
            wanted.put(start("chain", n), String.valueOf(n + STEPS));
            wanted.put(start("sleeper", n), String.valueOf(n));
            wanted.put(start("parent", n),
                    Room.range(STEPS, STEPS + 3).toString().replace(" ", ""));
            wanted.put(start("descent", new Descent(n, STEPS)), String.valueOf(n + STEPS));
        }
        String collector = start("collector", null);
        Set<Integer> repeated = new HashSet<>(); // Events that may have been heard twice.
        for (int n = 0; n <= EVENTS; ++n) {
            int event = n;
            if (insist(() -> {
                client.raiseEvent(collector, "item", event);
                return null;
            })) {
                repeated.add(event);
            }
            Room.pause(50);
        }

        wanted.forEach((id, result) -> check(result(id).equals(result), id));
        String text = result(collector);
        List<Integer> once = new ArrayList<>();
        for (String item : text.substring(1, text.length() - 1).split(",")) {
            int n = Integer.parseInt(item);
            if (once.isEmpty() || once.get(once.size() - 1) != n) {
                once.add(n);
            } else {
                check(repeated.contains(n), "event " + n + " came twice");
            }
        }
        check(once.equals(Room.range(0, EVENTS + 1)), "events, each and in order: " + text);
        System.out.println("done");
    }

    public static void main(String[] args) {
        for (int i = 0; i < WORKERS; ++i) {
            programs().start();
        }
        new Survivor().survive();
        System.exit(0); // Channels are open.
    }
}
