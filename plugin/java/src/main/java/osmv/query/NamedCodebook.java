package osmv.query;

import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.index.query.QueryRewriteContext;
import osmv.codebooks.Codebooks;
import osmv.codecs.Codebook;

/**
 * The codebook that a request names by its id, if any. A node that is to score loads it while it rewrites the request, before
 * a search thread takes it up; a node that only coordinates needs none, and may belong to another cluster than the documents.
 */
final class NamedCodebook {
    static final NamedCodebook NONE = new NamedCodebook(null);

    final String id;
    /** Null before it is asked for; empty until it has come. */
    private final AtomicReference<Codebook> loaded;

    NamedCodebook(String id) {
        this(id, null);
    }

    private NamedCodebook(String id, AtomicReference<Codebook> loaded) {
        this.id = id;
        this.loaded = loaded;
    }

    static NamedCodebook read(StreamInput in) throws IOException {
        return new NamedCodebook(in.readOptionalString());
    }

    void write(StreamOutput out) throws IOException {
        out.writeOptionalString(id);
    }

    /** The same once it is asked for, or not to be asked for here; as {@link org.opensearch.index.query.Rewriteable} has it. */
    NamedCodebook rewrite(QueryRewriteContext context, Codebooks codebooks) {
        boolean coordinating = context.convertToCoordinatorContext() != null;
        boolean searching = context.convertToShardContext() != null;
        if (id == null || loaded != null || coordinating || searching) {
            return this;
        }
        AtomicReference<Codebook> coming = new AtomicReference<>();
        context.registerAsyncAction((client, listener) -> codebooks.load(client, id, ActionListener.wrap(codebook -> {
            coming.set(codebook);
            listener.onResponse(null);
        }, listener::onFailure)));
        return new NamedCodebook(id, coming);
    }

    /** The codebook, or null where none is named. An IllegalArgumentException where this node doesn't have it. */
    Codebook get(Codebooks codebooks) {
        if (id == null) {
            return null;
        }
        Codebook codebook = loaded == null || loaded.get() == null ? codebooks.get(id) : loaded.get();
        if (codebook == null) {
            // _explain, _validate and their like never load anything.
            throw new IllegalArgumentException(
                "[maxsim] codebook [" + id + "] is not in this node's memory, and only a search loads it: use _search,"
                    + " with \"explain\": true if need be"
            );
        }
        return codebook;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof NamedCodebook codebook && Objects.equals(id, codebook.id);
    }

    @Override
    public int hashCode() {
        return Objects.hashCode(id);
    }
}
