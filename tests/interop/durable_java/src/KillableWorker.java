import java.util.List;

/**
 * A worker as a process of its own, to be killed: KillableWorker LABEL [STUCK...]
 *
 * <p>Says `LABEL NAME` for whatever it begins. What is named in STUCK (`turn`, `task`) it
 * never ends.
 */
final class KillableWorker {
    private KillableWorker() {}

    private static void begin(List<String> args, String name) {
        System.out.println(args.get(0) + " " + name);
        while (args.lastIndexOf(name) > 0) {
            Room.pause(1000);
        }
    }

    public static void main(String[] args) {
        List<String> all = List.of(args);
        Sdk.Programs programs = new Sdk.Programs();
        programs.orchestrator("killable", ctx -> {
            if (!ctx.getIsReplaying()) {
                begin(all, "turn");
            }
            return ctx.allOf(Room.range(0, ctx.getInput(int.class)).stream().map(
                    i -> ctx.callActivity("killable", i, Integer.class)).toList()).await();
        }).activity("killable", ctx -> {
            begin(all, "task");
            return ctx.getInput(int.class);
        });
        programs.builder.grpcChannel(Sdk.channel(Sdk.DEFAULT_MESSAGE)).build()
                .startAndBlock();
    }
}
