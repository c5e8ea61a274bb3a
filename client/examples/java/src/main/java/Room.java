import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicReference;
import leasehold.v1.EchoGrpc;
import leasehold.v1.EchoRequest;
import leasehold.v1.EchoResponse;
import leasehold.v1.HoldRequest;
import leasehold.v1.HoldResponse;
import leasehold.v1.InstancesGrpc;
import leasehold.v1.JoinRequest;
import leasehold.v1.JoinResponse;
import leasehold.v1.WatchInstancesRequest;
import leasehold.v1.WatchInstancesResponse;

/**
 * Says a line in a room, hears the others, leaves, and sees the lease go.
 *
 * <p>usage: Room ADDRESS ID TEXT ECHOES
 *
 * <p>The room is the server-side instance context that ID names: all who use the same ID, from
 * whatever process or language, are in it. Ends after so many echoes and when the room is gone.
 */
public final class Room {
  private static final Metadata.Key<String> INSTANCE_ID =
      Metadata.Key.of("instance-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> INSTANCE_GENERATION =
      Metadata.Key.of("instance-generation", Metadata.ASCII_STRING_MARSHALLER);

  private static void run(ManagedChannel channel, String room, String text, int echoes)
      throws Exception {
    Iterator<WatchInstancesResponse> watch =
        InstancesGrpc.newBlockingStub(channel)
            .watch(WatchInstancesRequest.newBuilder().setIdPrefix(room).build());
    watch.next(); // From its first answer on, no event is missed.

    Metadata headers = new Metadata();
    headers.put(INSTANCE_ID, room);
    AtomicReference<Metadata> received = new AtomicReference<>();
    EchoGrpc.EchoBlockingStub echo =
        EchoGrpc.newBlockingStub(channel)
            .withInterceptors(
                MetadataUtils.newAttachHeadersInterceptor(headers),
                MetadataUtils.newCaptureMetadataInterceptor(received, new AtomicReference<>()));
    InstancesGrpc.InstancesBlockingStub instances =
        InstancesGrpc.newBlockingStub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));

    long generation;
    // The streams that are begun inside end with it.
    try (Context.CancellableContext inside = Context.current().withCancellation()) {
      // Busy for as long as this call is open: the lease does not run.
      HoldResponse held =
          inside.call(() -> instances.hold(HoldRequest.getDefaultInstance())).next();
      generation = held.getInstance().getGeneration();
      System.out.printf("holds %s: generation %d%n", room, generation);

      // From the oldest echo on that the server has.
      Iterator<JoinResponse> join =
          inside.call(() -> echo.join(JoinRequest.newBuilder().setAfterSequence(0).build()));
      join.next();

      EchoResponse said = echo.echo(EchoRequest.newBuilder().setText(text).build());
      System.out.printf(
          "said %d: %s (instance-generation: %s)%n",
          said.getSequence(), text, received.get().get(INSTANCE_GENERATION));

      for (int heard = 0; heard < echoes; ) {
        JoinResponse event = join.next();
        if (event.hasEcho()) {
          System.out.printf(
              "heard %d: %s%n", event.getEcho().getSequence(), event.getEcho().getText());
          heard++;
        }
      }
    }
    System.out.printf("left %s%n", room);

    while (true) {
      WatchInstancesResponse event = watch.next();
      if (event.getEvent() == WatchInstancesResponse.Event.CLOSED
          && event.getInstance().getGeneration() == generation) {
        System.out.printf("gone %s: %s%n", room, event.getReason());
        return;
      }
    }
  }

  public static void main(String[] args) throws Exception {
    if (args.length != 4) {
      System.err.println("usage: Room ADDRESS ID TEXT ECHOES");
      System.exit(2);
    }
    ManagedChannel channel = Connection.open(args[0]);
    try {
      run(channel, args[1], args[2], Integer.parseInt(args[3]));
    } finally {
      channel.shutdownNow();
    }
  }
}
