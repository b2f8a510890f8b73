package osmv.query;

import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.lucene.index.LeafReaderContext;
import org.opensearch.action.search.SearchShardTask;
import org.opensearch.common.lease.Releasable;
import org.opensearch.common.logging.HeaderWarning;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.search.SearchService;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.search.query.QueryPhase;
import org.opensearch.search.query.QueryPhaseExecutionException;
import osmv.codecs.Codebook;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;
import osmv.stats.Counters.Tally;

/**
 * One search of one shard: whether it should go on, what memory it took, what it did. All that is given back or added up when
 * the search ends, however it ends. Threads of a concurrent search share one.
 */
final class RunningSearch implements Releasable {
    private final Searches searches;
    private final SearchContext context;
    private final AtomicLong accounted = new AtomicLong();
    private final Map<Asked, MaxSim> tables = new ConcurrentHashMap<>();
    private final Map<Room, Long> rooms = new ConcurrentHashMap<>();
    private final Queue<Tally> tallies = new ConcurrentLinkedQueue<>();
    private volatile String damagedField;
    private volatile boolean timed;
    private volatile long deadline;

    /** What a query's tables depend on. */
    private record Asked(QueryVectors query, Codebook codebook) {}

    /** What a thread holds to score a field: it goes from segment to segment, so one room serves for all. */
    private record Room(MaxSim maxsim, String field, Thread thread) {}

    /** The context is null for a lone document that is explained or percolated outside of any search. */
    RunningSearch(Searches searches, SearchContext context) {
        this.searches = searches;
        this.context = context;
    }

    void startClock() {
        if (context.scrollContext() == null && context.timeout() != null && !context.timeout().equals(SearchService.NO_TIMEOUT)) {
            deadline = System.nanoTime() + context.timeout().nanos();
            timed = true;
        }
    }

    void stopClock() {
        timed = false;
    }

    /** Called before each document: microseconds of work lie between two checks, whatever the query. */
    void checkCancelled() {
        SearchShardTask task = context == null ? null : context.getTask();
        if (task != null && task.isCancelled()) {
            throw new TaskCancelledException("cancelled task with reason: " + task.getReasonCancelled());
        }
    }

    boolean outOfTime() {
        return timed && System.nanoTime() - deadline > 0;
    }

    /**
     * Time is over. OpenSearch breaks the main search off at an exception and answers with what was found; a rescorer has to
     * come to an end by itself, with what it has scored. A failure where the user asked for all or nothing.
     */
    void answerInPart() {
        boolean rescoring = !context.queryResult().hasConsumedTopDocs();
        if (!rescoring) {
            throw new QueryPhase.TimeExceededException();
        }
        if (context.request().allowPartialSearchResults() == false) {
            throw new QueryPhaseExecutionException(context.shardTarget(), "Time exceeded");
        }
        context.queryResult().searchTimedOut(true);
    }

    /** A query's tables are made once, however many clauses, segments and inner hits ask for them. */
    MaxSim maxsim(QueryVectors query, Codebook codebook) {
        return tables.computeIfAbsent(new Asked(query, codebook), asked -> {
            account(MaxSim.bytes(query.count(), query.dim()));
            return new MaxSim(query, codebook);
        });
    }

    /** See that this thread's room for scoring the field has so many bytes. */
    void room(MaxSim maxsim, String field, long bytes) {
        rooms.compute(new Room(maxsim, field, Thread.currentThread()), (room, held) -> {
            long before = held == null ? 0 : held;
            if (before < bytes) {
                account(bytes - before);
            }
            return Math.max(before, bytes);
        });
    }

    /** To be called before the bytes are allocated; a CircuitBreakingException where they must not be. */
    void account(long bytes) {
        if (context != null) {
            searches.breaker().addEstimateBytesAndMaybeBreak(bytes, "maxsim");
            accounted.addAndGet(bytes);
        }
    }

    Tally tally() {
        Tally tally = new Tally();
        tallies.add(tally);
        return tally;
    }

    void damaged(LeafReaderContext leaf, String field, int doc, String reason) {
        damagedField = field;
        if (context != null) {
            searches.damage.report(context.indexShard().shardId(), leaf, field, doc, reason);
        }
    }

    @Override
    public void close() {
        searches.breaker().addWithoutBreaking(-accounted.getAndSet(0));
        if (!tallies.isEmpty()) {
            searches.counters().add(tallies);
        }
        if (damagedField != null) {
            HeaderWarning.addWarning(
                "documents whose token vectors in field [" + damagedField
                    + "] are damaged were left out: the node's log names them, index them again"
            );
        }
    }
}
