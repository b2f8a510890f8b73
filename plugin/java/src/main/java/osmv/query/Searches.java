package osmv.query;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.lucene.search.IndexSearcher;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.common.breaker.NoopCircuitBreaker;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.search.internal.SearchContext;
import osmv.codebooks.Codebooks;
import osmv.stats.Counters;
import osmv.stats.StatsAction;

/**
 * The searches that run on this node, and what they share: limits, circuit breaker, codebooks, counters, the log of damaged
 * documents.
 *
 * <p>A Lucene query is not told which search it belongs to. But OpenSearch hands every query of a search, wherever it stands
 * (rescore, aggregation, inner hits, another query), the searcher of that search, so the searcher is the key here.
 */
public final class Searches implements SearchOperationListener {
    public static final Setting<Integer> MAX_QUERY_VECTORS =
        Setting.intSetting("plugins.multivector.max_query_vectors", 1024, 1, Property.NodeScope, Property.Dynamic);
    public static final Setting<Integer> MAX_WINDOW_SIZE =
        Setting.intSetting("plugins.multivector.max_window_size", 10_000, 1, Property.NodeScope, Property.Dynamic);

    final DamageLog damage = new DamageLog();
    private final Map<IndexSearcher, RunningSearch> running = new ConcurrentHashMap<>();
    private final Counters counters = new Counters();
    private volatile CircuitBreaker breaker = new NoopCircuitBreaker(StatsAction.BREAKER);
    private volatile Codebooks codebooks = new Codebooks(Settings.EMPTY, breaker);
    private volatile int maxQueryVectors = MAX_QUERY_VECTORS.get(Settings.EMPTY);
    private volatile int maxWindowSize = MAX_WINDOW_SIZE.get(Settings.EMPTY);

    /** Take the limits from the node's settings and from every change of the cluster's. */
    public void follow(Settings node, ClusterSettings cluster) {
        codebooks = new Codebooks(node, breaker);
        maxQueryVectors = MAX_QUERY_VECTORS.get(node);
        maxWindowSize = MAX_WINDOW_SIZE.get(node);
        cluster.addSettingsUpdateConsumer(MAX_QUERY_VECTORS, value -> maxQueryVectors = value);
        cluster.addSettingsUpdateConsumer(MAX_WINDOW_SIZE, value -> maxWindowSize = value);
    }

    public void breaker(CircuitBreaker circuitBreaker) {
        breaker = circuitBreaker;
    }

    public CircuitBreaker breaker() {
        return breaker;
    }

    public Codebooks codebooks() {
        return codebooks;
    }

    public Counters counters() {
        return counters;
    }

    int maxQueryVectors() {
        return maxQueryVectors;
    }

    int maxWindowSize() {
        return maxWindowSize;
    }

    @Override
    public void onPreQueryPhase(SearchContext context) {
        of(context).startClock();
    }

    /** A search whose time is over still fetches what it found. */
    @Override
    public void onPreFetchPhase(SearchContext context) {
        of(context).stopClock();
    }

    /** The search of that searcher. */
    RunningSearch of(IndexSearcher searcher) {
        RunningSearch search = running.get(searcher);
        return search != null ? search : none();
    }

    /** For a lone document, outside of any search: nothing is accounted for or counted. */
    RunningSearch none() {
        return new RunningSearch(this, null);
    }

    private RunningSearch of(SearchContext context) {
        return running.computeIfAbsent(context.searcher(), searcher -> {
            RunningSearch search = new RunningSearch(this, context);
            context.addReleasable(() -> {
                running.remove(searcher);
                search.close();
            });
            return search;
        });
    }
}
