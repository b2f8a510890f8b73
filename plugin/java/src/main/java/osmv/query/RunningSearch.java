package osmv.query;

import java.util.Queue;
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
import osmv.stats.Counters.Tally;

/**
 * One search of one shard: whether it should go on, what memory it took, what it did. All that is given back or added up when
 * the search ends, however it ends. Threads of a concurrent search share one.
 */
final class RunningSearch implements Releasable {
    private final Searches searches;
    private final SearchContext context;
    private final AtomicLong accounted = new AtomicLong();
    private final Queue<Tally> tallies = new ConcurrentLinkedQueue<>();
    private volatile String damagedField;
    private volatile boolean timed;
    private volatile long deadline;

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
