package osmv.stats;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import org.opensearch.action.support.nodes.BaseNodeResponse;
import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.ToXContentFragment;
import org.opensearch.core.xcontent.XContentBuilder;
import osmv.codebooks.Codebooks;
import osmv.kernels.Kernels;

/** What one node computes with and what it did since it started. */
final class NodeStats extends BaseNodeResponse implements ToXContentFragment {
    private static final String VERSION = version();

    private final String kernel;
    private final String version;
    private final long requests;
    private final long documents;
    private final long nanoseconds;
    private final long bytes;
    private final long damaged;
    private final long codebooks;
    private final long codebookBytes;
    private final long codebookLoads;
    private final long limit;
    private final long used;
    private final long tripped;

    NodeStats(DiscoveryNode node, Counters counters, Codebooks codebooks, CircuitBreaker breaker) {
        super(node);
        kernel = Kernels.current().name();
        version = VERSION;
        requests = counters.requests.sum();
        documents = counters.documents.sum();
        nanoseconds = counters.nanoseconds.sum();
        bytes = counters.bytes.sum();
        damaged = counters.damaged.sum();
        this.codebooks = codebooks.count();
        codebookBytes = codebooks.bytes();
        codebookLoads = codebooks.loads();
        limit = breaker.getLimit();
        used = breaker.getUsed();
        tripped = breaker.getTrippedCount();
    }

    NodeStats(StreamInput in) throws IOException {
        super(in);
        kernel = in.readString();
        version = in.readString();
        requests = in.readLong();
        documents = in.readLong();
        nanoseconds = in.readLong();
        bytes = in.readLong();
        damaged = in.readLong();
        codebooks = in.readLong();
        codebookBytes = in.readLong();
        codebookLoads = in.readLong();
        limit = in.readLong();
        used = in.readLong();
        tripped = in.readLong();
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        super.writeTo(out);
        out.writeString(kernel);
        out.writeString(version);
        out.writeLong(requests);
        out.writeLong(documents);
        out.writeLong(nanoseconds);
        out.writeLong(bytes);
        out.writeLong(damaged);
        out.writeLong(codebooks);
        out.writeLong(codebookBytes);
        out.writeLong(codebookLoads);
        out.writeLong(limit);
        out.writeLong(used);
        out.writeLong(tripped);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(getNode().getId());
        builder.field("name", getNode().getName());
        builder.field("kernel", kernel);
        builder.field("version", version);
        builder.field("requests", requests);
        builder.field("documents", documents);
        builder.field("nanoseconds", nanoseconds);
        builder.field("bytes", bytes);
        builder.field("damaged", damaged);
        builder.startObject("codebooks");
        builder.field("count", codebooks);
        builder.field("size_in_bytes", codebookBytes);
        builder.field("loads", codebookLoads);
        builder.endObject();
        builder.startObject("breaker");
        builder.field("limit_size_in_bytes", limit);
        builder.field("estimated_size_in_bytes", used);
        builder.field("tripped", tripped);
        builder.endObject();
        return builder.endObject();
    }

    private static String version() {
        try (InputStream in = NodeStats.class.getResourceAsStream("version.properties")) {
            Properties properties = new Properties();
            properties.load(in);
            return properties.getProperty("version");
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
