package osmv.codebooks;

import java.io.IOException;
import java.nio.BufferOverflowException;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.atomic.LongAdder;
import org.opensearch.ResourceNotFoundException;
import org.opensearch.action.ActionRunnable;
import org.opensearch.action.get.GetRequest;
import org.opensearch.action.get.GetResponse;
import org.opensearch.common.cache.Cache;
import org.opensearch.common.cache.CacheBuilder;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.util.concurrent.ListenableFuture;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.common.unit.ByteSizeValue;
import org.opensearch.index.IndexNotFoundException;
import org.opensearch.transport.client.Client;
import osmv.codecs.Codebook;

/**
 * The codebooks that this node scores with, read from where {@code plugin/artifacts.py} puts them: a document with the number
 * of parts under the id, the parts' base64 under id.0, id.1, and so on.
 *
 * <p>An id is the hash of what it stands for, so that what is here is never stale. What was not used for longest makes room.
 */
public final class Codebooks {
    public static final Setting<ByteSizeValue> MAX_SIZE =
        Setting.memorySizeSetting("plugins.multivector.codebooks.max_size", "5%", Property.NodeScope);
    public static final String INDEX = "osmv-artifacts";
    /** While a codebook is read there are its file, one of its arrays, and the floats made of its halves. */
    private static final int LOADING = 4;

    private final CircuitBreaker breaker;
    private final Cache<String, Codebook> cache;
    private final Map<String, ListenableFuture<Codebook>> coming = new ConcurrentHashMap<>();
    private final LongAdder loads = new LongAdder();

    public Codebooks(Settings settings, CircuitBreaker breaker) {
        this.breaker = breaker;
        cache = CacheBuilder.<String, Codebook>builder()
            .setMaximumWeight(MAX_SIZE.get(settings).getBytes())
            .weigher((id, codebook) -> codebook.bytes())
            .removalListener(removed -> breaker.addWithoutBreaking(-removed.getValue().bytes()))
            .build();
    }

    /** The codebook if it is in memory, else null. */
    public Codebook get(String id) {
        return cache.get(id);
    }

    /** The codebook, read once however many ask for it at the same time. */
    public void load(Client client, String id, ActionListener<Codebook> listener) {
        Codebook codebook = cache.get(id);
        if (codebook != null) {
            listener.onResponse(codebook);
            return;
        }
        ThreadContext context = client.threadPool().getThreadContext();
        ExecutorService executor = client.threadPool().generic();
        ListenableFuture<Codebook> mine = new ListenableFuture<>();
        ListenableFuture<Codebook> first = coming.putIfAbsent(id, mine);
        (first == null ? mine : first).addListener(listener, executor, context);
        if (first != null) {
            return;
        }
        // Who searches need not be allowed to read the index of the codebooks, which holds no document of anybody's.
        ThreadContext.StoredContext caller = context.stashContext();
        try {
            executor.execute(ActionRunnable.supply(ActionListener.runBefore(mine, () -> coming.remove(id)), () -> {
                Codebook there = cache.get(id);
                return there != null ? there : read(client, id);
            }));
        } finally {
            caller.restore();
        }
    }

    public int count() {
        return cache.count();
    }

    public long bytes() {
        return cache.weight();
    }

    /** How many were read since the node started. */
    public long loads() {
        return loads.sum();
    }

    private Codebook read(Client client, String id) {
        loads.increment();
        Map<String, Object> head = document(client, id, id);
        int size = number(id, head, "bytes");
        long room = (long) LOADING * size;
        breaker.addEstimateBytesAndMaybeBreak(room, "codebook");
        try {
            ByteBuffer content = ByteBuffer.allocate(size);
            for (int part = 0; part < number(id, head, "parts"); part++) {
                Object data = document(client, id, id + "." + part).get("data");
                content.put(Base64.getDecoder().decode(String.valueOf(data)));
            }
            Codebook codebook = Codebook.read(content.array());
            if (!codebook.id.equals(id)) {
                throw new IOException("its content is that of " + codebook.id);
            }
            breaker.addWithoutBreaking(codebook.bytes());
            cache.put(id, codebook);
            return codebook;
        } catch (IOException | IllegalArgumentException | BufferOverflowException e) {
            throw missing(id, e);
        } finally {
            breaker.addWithoutBreaking(-room);
        }
    }

    private static Map<String, Object> document(Client client, String id, String document) {
        try {
            GetResponse response = client.get(new GetRequest(INDEX, document)).actionGet();
            if (response.isExists()) {
                return response.getSourceAsMap();
            }
        } catch (IndexNotFoundException e) {
            throw missing(id, e);
        }
        throw missing(id, null);
    }

    private static int number(String id, Map<String, Object> head, String key) {
        if (head.get(key) instanceof Number number && number.intValue() >= 0) {
            return number.intValue();
        }
        throw missing(id, null);
    }

    private static ResourceNotFoundException missing(String id, Exception cause) {
        return new ResourceNotFoundException(
            "[maxsim] codebook [" + id + "] is missing, cut or altered in index [" + INDEX
                + "]: restore that index from a snapshot, or index the documents again",
            cause
        );
    }
}
