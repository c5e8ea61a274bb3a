import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/**
 * A channel to a Leasehold server, with TLS and a token if the environment says so.
 *
 * <p>LEASEHOLD_CA is the file of the authorities that the server's certificate must come from;
 * without it there is no TLS. LEASEHOLD_CERT and LEASEHOLD_KEY are the client's own certificate and
 * its key, for a server that asks for one; LEASEHOLD_TOKEN_FILE has the token that says who calls.
 */
final class Connection {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Adds the token to each call, streams too. */
  private static final class Token extends CallCredentials {
    private final Path file;

    Token(String file) {
      this.file = Path.of(file);
    }

    @Override
    public void applyRequestMetadata(
        RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            // Not kept: a token that lives for a short time is replaced in its file.
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
              applier.apply(headers);
            } catch (IOException e) {
              applier.fail(Status.UNAUTHENTICATED.withDescription(e.toString()).withCause(e));
            }
          });
    }

    @Override
    public void thisUsesUnstableApi() {}
  }

  private Connection() {}

  static ManagedChannel open(String address) throws IOException {
    return Grpc.newChannelBuilder(address, credentials()).build();
  }

  private static ChannelCredentials credentials() throws IOException {
    String ca = System.getenv("LEASEHOLD_CA");
    String cert = System.getenv("LEASEHOLD_CERT");
    String token = System.getenv("LEASEHOLD_TOKEN_FILE");
    if (ca == null) {
      if (cert != null || token != null) {
        throw new IOException("a certificate and a token need TLS: set LEASEHOLD_CA");
      }
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls =
        TlsChannelCredentials.newBuilder().trustManager(new File(ca));
    if (cert != null) {
      tls.keyManager(new File(cert), new File(System.getenv("LEASEHOLD_KEY")));
    }
    return token == null
        ? tls.build()
        : CompositeChannelCredentials.create(tls.build(), new Token(token));
  }
}
