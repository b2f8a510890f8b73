package osmv.query;

import static org.opensearch.index.query.QueryBuilders.boolQuery;
import static org.opensearch.index.query.QueryBuilders.matchAllQuery;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchPhaseExecutionException;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchShardTask;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.breaker.CircuitBreakingException;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.rescore.QueryRescorerBuilder;
import org.opensearch.search.rescore.RescorerBuilder;
import org.opensearch.tasks.CancellableTask;
import org.opensearch.transport.TransportService;
import osmv.blob.Blob;
import osmv.kernels.Kernels;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;
import osmv.query.MaxSimRescorerBuilder.First;

/** Searches that are cancelled, run out of time or memory, or meet damaged documents; and what the stats say of them. */
public final class GuardTests extends NodeTestCase {
    @Override
    public void tearDown() throws Exception {
        hook = () -> {};
        super.tearDown();
    }

    /** OpenSearch looks after its searches too, but only every so many documents: off, so that what is seen here is ours. */
    private void settings(String... pairs) {
        Settings.Builder settings = Settings.builder();
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put(pairs[i], pairs[i + 1]);
        }
        client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings).get();
    }

    private void resetSettings() {
        client().admin().cluster().prepareUpdateSettings().setTransientSettings(Settings.builder().putNull("*")).get();
    }

    private static void hookAt(int call, Runnable action) {
        AtomicInteger calls = new AtomicInteger();
        hook = () -> {
            if (calls.incrementAndGet() == call) {
                action.run();
            }
        };
    }

    private void cancelSearches() {
        for (CancellableTask task : getInstanceFromNode(TransportService.class).getTaskManager().getCancellableTasks().values()) {
            if (task instanceof SearchShardTask) {
                task.cancel("a test");
            }
        }
    }

    private static void sleep() {
        try {
            Thread.sleep(80);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private RescorerBuilder<?> rescorer(QueryVectors query) {
        return new MaxSimRescorerBuilder("mv", query, randomBoolean() ? null : new First("bits", 50), searches());
    }

    private QueryBuilder hookedMaxsim(QueryVectors query) {
        return boolQuery().must(maxsim(query)).filter(hooked());
    }

    public void testCancelledWhileTheQueryScores() throws IOException {
        index("int8");
        long before = stat("documents");
        settings("search.low_level_cancellation", "false");
        try {
            hookAt(10, this::cancelSearches);
            Exception e = expectThrows(SearchPhaseExecutionException.class, search(hookedMaxsim(query()))::get);
            assertNotNull(e.toString(), ExceptionsHelper.unwrap(e, TaskCancelledException.class));
        } finally {
            resetSettings();
        }
        assertEquals(9, stat("documents") - before);
        assertNothingHeld();
    }

    public void testCancelledBeforeTheRescorerScores() throws IOException {
        index("int8");
        long before = stat("documents");
        settings("search.low_level_cancellation", "false");
        try {
            hookAt(54, this::cancelSearches);
            Exception e = expectThrows(
                SearchPhaseExecutionException.class,
                search(boolQuery().must(matchAllQuery()).filter(hooked())).setRescorer(rescorer(query()), 100)::get
            );
            assertNotNull(e.toString(), ExceptionsHelper.unwrap(e, TaskCancelledException.class));
        } finally {
            resetSettings();
        }
        assertEquals(0, stat("documents") - before);
        assertNothingHeld();
    }

    public void testTimeIsOverWhileTheQueryScores() throws IOException {
        index("int8");
        long before = stat("documents");
        hookAt(10, GuardTests::sleep);
        SearchResponse response = search(hookedMaxsim(query())).setTimeout(TimeValue.timeValueMillis(60)).get();
        assertTrue(response.isTimedOut());
        assertTrue(stat("documents") - before <= 9);
        assertEquals(stat("documents") - before, response.getHits().getHits().length);
    }

    public void testTimeIsOverBeforeRescoring() throws IOException {
        index("int8");
        for (RescorerBuilder<?> rescorer : List.of(rescorer(query()), new QueryRescorerBuilder(maxsim(query())))) {
            long before = stat("documents");
            QueryBuilder first = boolQuery().must(matchAllQuery()).filter(hooked());
            hook = () -> {};
            List<String> order = ids(search(first).get().getHits());
            hookAt(54, GuardTests::sleep);
            SearchResponse response = search(first).setRescorer(rescorer, 100).setTimeout(TimeValue.timeValueMillis(60)).get();
            assertTrue(response.isTimedOut());
            assertEquals(0, stat("documents") - before);
            assertEquals(order, ids(response.getHits()));
            hookAt(54, GuardTests::sleep);
            SearchRequestBuilder allOrNothing = search(first).setRescorer(rescorer, 100)
                .setTimeout(TimeValue.timeValueMillis(60))
                .setAllowPartialSearchResults(false);
            expectThrows(SearchPhaseExecutionException.class, allOrNothing::get);
        }
    }

    public void testMemoryIsAccountedForWhileASearchRuns() throws IOException {
        index("int8");
        QueryVectors query = new QueryVectors(Corpus.vectors(random(), 64), null, Scoring.SUM_MAX);
        List<Long> held = new ArrayList<>();
        hook = () -> {
            try {
                held.add(held());
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        };
        search(hookedMaxsim(query)).get();
        // Tables of 64 vectors at the least; then a buffer for documents, which serves for all segments.
        assertTrue(held.toString(), held.get(0) > 64 * Corpus.DIM * 4);
        assertTrue(held.toString(), held.get(1) > held.get(0));
        assertTrue(held.toString(), held.get(held.size() - 1) < 2 * held.get(1) - held.get(0));
        assertNothingHeld();
    }

    public void testSearchesThatNeedTooMuchFail() throws IOException {
        index("int8");
        settings("breaker.multivector.limit", "10kb");
        try {
            QueryVectors query = new QueryVectors(Corpus.vectors(random(), 64), null, Scoring.SUM_MAX);
            SearchRequestBuilder rescored = search(matchAllQuery()).setRescorer(rescorer(query), 50);
            for (SearchRequestBuilder request : List.of(search(maxsim(query)), rescored)) {
                SearchPhaseExecutionException e = expectThrows(SearchPhaseExecutionException.class, request::get);
                assertEquals(RestStatus.TOO_MANY_REQUESTS, e.status());
                assertNotNull(ExceptionsHelper.unwrap(e, CircuitBreakingException.class));
                assertNothingHeld();
            }
        } finally {
            resetSettings();
        }
    }

    public void testMemoryIsGivenBackByFailedSearches() throws IOException {
        index("int8");
        QueryVectors narrow = new QueryVectors(new float[][] { { 1, 2, 3 } }, null, Scoring.SUM_MAX);
        expectThrows(SearchPhaseExecutionException.class, search(maxsim(narrow))::get);
        expectThrows(SearchPhaseExecutionException.class, search(matchAllQuery()).setRescorer(rescorer(narrow), 50)::get);
        assertNothingHeld();
    }

    public void testDamagedDocumentsAreLeftOutAndCounted() throws IOException {
        index("int8");
        byte[] whole = Corpus.blob("int8", Corpus.vectors(random(), 5));
        byte[] altered = whole.clone();
        altered[20] ^= 1;
        put("altered", altered);
        put("cut", Arrays.copyOf(whole, whole.length - 3));
        put("empty", new byte[0]);
        put("unknown", Blob.seal(200, 1, Corpus.DIM, new byte[7]));
        refresh();
        QueryVectors query = query();
        long before = stat("damaged");
        List<String> expected = documents.keySet().stream().sorted().toList();
        assertEquals(expected, ids(search(maxsim(query)).get().getHits()).stream().sorted().toList());
        assertEquals(4, stat("damaged") - before);

        MaxSimRescorerBuilder rescorer = new MaxSimRescorerBuilder("mv", query, null, searches());
        List<String> rescored = ids(search(matchAllQuery()).setRescorer(rescorer, 100).get().getHits());
        assertEquals(expected, rescored.subList(0, expected.size()).stream().sorted().toList());
        assertTrue(rescored.containsAll(List.of("altered", "cut", "empty", "unknown")));
        assertEquals(8, stat("damaged") - before);
        assertFalse(client().prepareExplain("docs", "cut").setQuery(maxsim(query)).get().isMatch());
    }

    public void testDamageIsInTheResponsesHeaderOnce() throws Exception {
        create("mv", "type=binary,doc_values=true");
        put("damaged", new byte[40]);
        refresh();
        put("damaged too", new byte[50]);
        refresh();
        CompletableFuture<List<String>> warnings = new CompletableFuture<>();
        search(maxsim(query())).execute(
            ActionListener.wrap(
                // Headers belong to the thread that the answer comes to.
                response -> warnings.complete(client().threadPool().getThreadContext().getResponseHeaders().get("Warning")),
                warnings::completeExceptionally
            )
        );
        assertEquals(String.valueOf(warnings.get()), 1, warnings.get().size());
        assertTrue(warnings.get().get(0), warnings.get().get(0).contains("in field [mv] are damaged were left out"));
    }

    public void testStatsCountWhatWasDone() throws IOException {
        index("int8");
        Map<String, Object> before = stats();
        search(maxsim(query())).get();
        search(matchAllQuery()).get();
        search(matchAllQuery()).setRescorer(new MaxSimRescorerBuilder("mv", query(), null, searches()), 100).get();
        Map<String, Object> after = stats();
        assertEquals(2, difference(before, after, "requests"));
        assertEquals(2 * documents.size(), difference(before, after, "documents"));
        long bytes = documents.values().stream().mapToLong(document -> Corpus.blob("int8", document).length).sum();
        assertEquals(2 * bytes, difference(before, after, "bytes"));
        assertEquals(0, difference(before, after, "damaged"));
        assertTrue(difference(before, after, "nanoseconds") > 0);
        assertEquals(Kernels.current().name(), after.get("kernel"));
        assertTrue(after.get("version").toString(), after.get("version").toString().matches("\\d+\\.\\d+\\.\\d+"));
    }

    private static long difference(Map<String, Object> before, Map<String, Object> after, String name) {
        return ((Number) after.get(name)).longValue() - ((Number) before.get(name)).longValue();
    }

    @SuppressWarnings("unchecked")
    private long held() throws IOException {
        return ((Number) ((Map<String, Object>) stats().get("breaker")).get("estimated_size_in_bytes")).longValue();
    }

    private void assertNothingHeld() throws IOException {
        assertEquals(stats().toString(), 0, held());
    }
}
