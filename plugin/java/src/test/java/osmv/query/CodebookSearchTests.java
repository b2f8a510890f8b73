package osmv.query;

import static org.opensearch.index.query.QueryBuilders.boolQuery;
import static org.opensearch.index.query.QueryBuilders.matchAllQuery;
import static org.opensearch.index.query.QueryBuilders.nestedQuery;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import org.apache.lucene.search.join.ScoreMode;
import org.opensearch.OpenSearchException;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.get.GetAction;
import org.opensearch.action.get.GetRequest;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.action.support.PlainActionFuture;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.env.Environment;
import org.opensearch.env.NodeEnvironment;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.repositories.RepositoriesService;
import org.opensearch.script.ScriptService;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchHits;
import org.opensearch.tasks.Task;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;
import org.opensearch.watcher.ResourceWatcherService;
import osmv.codebooks.Codebooks;
import osmv.codecs.Codebook;
import osmv.codecs.RandomCodebook;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;
import osmv.query.MaxSimRescorerBuilder.First;

/** Searches over the residual codecs: codebooks are found, loaded once, bounded in memory, and missed clearly. */
public final class CodebookSearchTests extends NodeTestCase {
    /** Who read which document of the codebooks' index, as "user:id". */
    private static final List<String> READS = new CopyOnWriteArrayList<>();
    private static final String USER = "x-test-user";

    /** Sees every request with the caller's headers, as a plugin for security does. */
    public static final class WatchPlugin extends Plugin implements ActionPlugin {
        private ThreadPool threadPool;

        @Override
        public Collection<Object> createComponents(
            Client client,
            ClusterService clusterService,
            ThreadPool threadPool,
            ResourceWatcherService resourceWatcherService,
            ScriptService scriptService,
            NamedXContentRegistry xContentRegistry,
            Environment environment,
            NodeEnvironment nodeEnvironment,
            NamedWriteableRegistry namedWriteableRegistry,
            IndexNameExpressionResolver indexNameExpressionResolver,
            Supplier<RepositoriesService> repositoriesService
        ) {
            this.threadPool = threadPool;
            return List.of();
        }

        @Override
        public List<ActionFilter> getActionFilters() {
            return List.of(new ActionFilter() {
                @Override
                public int order() {
                    return 0;
                }

                @Override
                public <Request extends ActionRequest, Response extends ActionResponse> void apply(
                    Task task,
                    String action,
                    Request request,
                    ActionRequestMetadata<Request, Response> metadata,
                    ActionListener<Response> listener,
                    ActionFilterChain<Request, Response> chain
                ) {
                    if (action.equals(GetAction.NAME)) {
                        READS.add(threadPool.getThreadContext().getHeader(USER) + ":" + ((GetRequest) request).id());
                    }
                    chain.proceed(task, action, request, listener);
                }
            });
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> getPlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.getPlugins());
        plugins.add(WatchPlugin.class);
        return plugins;
    }

    @Override
    public void setUp() throws Exception {
        super.setUp();
        READS.clear();
    }

    private RandomCodebook codebook() {
        return new RandomCodebook(random(), between(1, 50), Corpus.DIM);
    }

    private void head(String id, Map<String, Object> head) {
        client().prepareIndex(Codebooks.INDEX).setId(id).setSource(head).get();
    }

    /** As Python stores it, in parts. */
    private void store(String id, byte[] content, int parts) {
        int length = (content.length + parts - 1) / parts;
        for (int part = 0; part < parts; part++) {
            byte[] data = Arrays.copyOfRange(content, part * length, Math.min(content.length, (part + 1) * length));
            head(id + "." + part, Map.of("data", Base64.getEncoder().encodeToString(data)));
        }
        head(id, Map.of("kind", "codebook", "bytes", content.length, "parts", parts));
    }

    private RandomCodebook stored() {
        RandomCodebook codebook = codebook();
        store(codebook.codebook.id, codebook.npz, between(1, 3));
        return codebook;
    }

    /** Twenty documents in two segments. */
    private void index(RandomCodebook codebook, int bits) {
        create("mv", "type=binary,doc_values=true", "bits", "type=binary,doc_values=true", "n", "type=integer");
        documents.clear();
        for (int i = 0; i < 20; i++) {
            float[][] vectors = new float[between(1, 20)][];
            String blob = Base64.getEncoder().encodeToString(codebook.blob(bits, vectors));
            documents.put("d" + i, vectors);
            String bit = Corpus.base64("bit", vectors);
            client().prepareIndex("docs").setId("d" + i).setSource("mv", blob, "bits", bit, "n", i).get();
            if (i == 12) {
                refresh();
            }
        }
        refresh();
    }

    private MaxSimQueryBuilder maxsim(QueryVectors query, RandomCodebook codebook) {
        return new MaxSimQueryBuilder("mv", query, new NamedCodebook(codebook.codebook.id), null, searches());
    }

    private MaxSimRescorerBuilder rescorer(QueryVectors query, RandomCodebook codebook, First first) {
        return new MaxSimRescorerBuilder("mv", query, new NamedCodebook(codebook.codebook.id), first, searches());
    }

    private void assertScores(QueryVectors query, SearchHits hits, int scored) {
        assertEquals(documents.size(), hits.getHits().length);
        for (int i = 0; i < scored; i++) {
            SearchHit hit = hits.getAt(i);
            double expected = Corpus.score(query, documents.get(hit.getId()));
            assertEquals(hit.getId(), expected, hit.getScore(), 1e-4 * expected);
        }
        assertEquals(scored, Arrays.stream(hits.getHits()).filter(hit -> hit.getScore() > 0).count());
    }

    @SuppressWarnings("unchecked")
    private long loads() throws IOException {
        return ((Number) ((Map<String, Object>) stats().get("codebooks")).get("loads")).longValue();
    }

    private void assertFails(RestStatus status, String part, SearchRequestBuilder request) {
        OpenSearchException e = expectThrows(OpenSearchException.class, request::get);
        assertTrue(e.toString() + e.getCause(), (e.toString() + e.getCause()).contains(part));
        assertEquals(status, e.status());
    }

    public void testScoresAsQueryAndAsRescorer() throws IOException {
        for (int bits : new int[] { 1, 2, 4 }) {
            RandomCodebook codebook = stored();
            index(codebook, bits);
            long before = loads();
            QueryVectors query = query(randomFrom(Scoring.values()));
            assertScores(query, search(maxsim(query, codebook)).get().getHits(), 20);
            assertEquals(1, loads() - before);
            assertScores(query, search(matchAllQuery()).setRescorer(rescorer(query, codebook, null), 100).get().getHits(), 20);
            MaxSimRescorerBuilder twoLevels = rescorer(query, codebook, new First("bits", 7));
            assertScores(query, search(matchAllQuery()).setRescorer(twoLevels, 100).get().getHits(), 7);
            assertScores(query, search(boolQuery().must(maxsim(query, codebook))).get().getHits(), 20);
            assertEquals(1, loads() - before);
            SearchHits explained = search(maxsim(query, codebook)).setExplain(true).get().getHits();
            for (SearchHit hit : explained) {
                assertEquals(hit.getScore(), hit.getExplanation().getValue().floatValue(), 0);
                assertTrue(hit.getExplanation().getDetails()[3].getDescription().contains("codec residual" + bits));
            }
            assertTrue(client().prepareExplain("docs", "d3").setQuery(maxsim(query, codebook)).get().isMatch());
            client().admin().indices().prepareDelete("docs").get();
        }
    }

    public void testNested() throws Exception {
        RandomCodebook codebook = stored();
        create("parts", "type=nested");
        client().admin().indices().preparePutMapping("docs").setSource(
            "{\"properties\":{\"parts\":{\"type\":\"nested\","
                + "\"properties\":{\"mv\":{\"type\":\"binary\",\"doc_values\":true}}}}}",
            XContentType.JSON
        ).get();
        float[][] vectors = new float[5][];
        String blob = Base64.getEncoder().encodeToString(codebook.blob(4, vectors));
        client().prepareIndex("docs").setId("d1").setSource("parts", List.of(Map.of("mv", blob))).get();
        refresh();
        QueryVectors query = query();
        NamedCodebook named = new NamedCodebook(codebook.codebook.id);
        MaxSimQueryBuilder part = new MaxSimQueryBuilder("parts.mv", query, named, null, searches());
        SearchHits hits = search(nestedQuery("parts", part, ScoreMode.Max)).get().getHits();
        assertEquals(Corpus.score(query, vectors), hits.getAt(0).getScore(), 1e-3);
    }

    public void testReadUnderThePluginsOwnContext() throws IOException {
        RandomCodebook codebook = stored();
        index(codebook, 2);
        QueryVectors query = query();
        READS.clear();
        Client user = client().filterWithHeader(Map.of(USER, "somebody"));
        SearchHits hits = user.prepareSearch("docs").setSize(100).setQuery(maxsim(query, codebook)).get().getHits();
        assertScores(query, hits, 20);
        String id = codebook.codebook.id;
        assertTrue(READS.toString(), READS.containsAll(Set.of("null:" + id, "null:" + id + ".0")));
        assertTrue(READS.toString(), READS.stream().allMatch(read -> read.startsWith("null:")));
        user.prepareGet("docs", "d1").get();
        assertTrue(READS.toString(), READS.contains("somebody:d1"));
    }

    public void testLoadedOnceHoweverManyAskAtTheSameTime() {
        RandomCodebook codebook = stored();
        Codebooks codebooks = new Codebooks(Settings.EMPTY, searches().breaker());
        List<PlainActionFuture<Codebook>> futures = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            PlainActionFuture<Codebook> future = PlainActionFuture.newFuture();
            codebooks.load(client(), codebook.codebook.id, future);
            futures.add(future);
        }
        for (PlainActionFuture<Codebook> future : futures) {
            assertSame(futures.get(0).actionGet(), future.actionGet());
        }
        assertSame(futures.get(0).actionGet(), codebooks.get(codebook.codebook.id));
        assertEquals(1, codebooks.loads());
    }

    public void testTheLeastRecentlyUsedMakesRoomAndMemoryIsAccountedFor() {
        List<RandomCodebook> three = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            RandomCodebook codebook = new RandomCodebook(random(), 50, Corpus.DIM);
            store(codebook.codebook.id, codebook.npz, 1);
            three.add(codebook);
        }
        long one = three.get(0).codebook.bytes();
        long before = searches().breaker().getUsed();
        Settings settings = Settings.builder().put(Codebooks.MAX_SIZE.getKey(), 2 * one + "b").build();
        Codebooks codebooks = new Codebooks(settings, searches().breaker());
        for (int i : new int[] { 0, 1, 0, 2 }) {
            PlainActionFuture<Codebook> future = PlainActionFuture.newFuture();
            codebooks.load(client(), three.get(i).codebook.id, future);
            assertEquals(three.get(i).codebook, future.actionGet());
            assertEquals(codebooks.bytes(), codebooks.count() * one);
        }
        assertEquals(3, codebooks.loads());
        assertEquals(2, codebooks.count());
        assertNull(codebooks.get(three.get(1).codebook.id));
        assertEquals(2 * one, searches().breaker().getUsed() - before);
    }

    public void testMissingCutAndAlteredCodebooks() {
        RandomCodebook codebook = codebook();
        String id = codebook.codebook.id;
        index(codebook, 1);
        QueryVectors query = query();
        String sentence = "[maxsim] codebook [" + id + "] is missing, cut or altered in index [osmv-artifacts]";
        List<Runnable> states = List.of(
            () -> {},
            () -> head("another", Map.of("kind", "codebook", "bytes", 3, "parts", 1)),
            () -> head(id, Map.of("kind", "codebook", "bytes", codebook.npz.length, "parts", 2)),
            () -> store(id, Arrays.copyOf(codebook.npz, codebook.npz.length / 2), 1),
            () -> store(id, codebook().npz, 1),
            () -> head(id, Map.of("kind", "codebook", "bytes", 10, "parts", 1)),
            () -> head(id, Map.of("kind", "codebook")),
            () -> head(id + ".0", Map.of("data", "???"))
        );
        long used = searches().breaker().getUsed();
        for (Runnable state : states) {
            state.run();
            assertFails(RestStatus.NOT_FOUND, sentence, search(maxsim(query, codebook)));
            assertFails(RestStatus.NOT_FOUND, sentence, search(matchAllQuery()).setRescorer(rescorer(query, codebook, null), 10));
        }
        assertEquals(used, searches().breaker().getUsed());
        store(id, codebook.npz, 2);
        assertScores(query, search(maxsim(query, codebook)).get().getHits(), 20);
    }

    public void testACodebookThatMemoryIsTooSmallForIsNotRead() {
        RandomCodebook codebook = codebook();
        index(codebook, 1);
        head(codebook.codebook.id, Map.of("kind", "codebook", "bytes", 2_000_000_000, "parts", 1));
        assertFails(RestStatus.TOO_MANY_REQUESTS, "Data too large", search(maxsim(query(), codebook)));
    }

    public void testRequestsWithAnotherCodebookAndWithout() throws IOException {
        RandomCodebook codebook = stored();
        RandomCodebook other = stored();
        index(codebook, 4);
        long damaged = stat("damaged");
        assertEquals(0, search(maxsim(query(), other)).get().getHits().getHits().length);
        assertEquals(20, stat("damaged") - damaged);
        assertFails(
            RestStatus.BAD_REQUEST,
            "token vectors of codec residual4 need the codebook that they were written with: name its id as [codebook]",
            search(maxsim(query()))
        );
        RandomCodebook unseen = stored();
        QueryBuilder builder = maxsim(query(), unseen);
        OpenSearchException e = expectThrows(
            OpenSearchException.class,
            () -> client().prepareExplain("docs", "d3").setQuery(builder).get()
        );
        assertTrue(e.toString() + e.getCause(), (e.toString() + e.getCause()).contains("only a search loads it: use _search"));
    }

    public void testSurvivesJsonAndTheWire() throws Exception {
        MaxSimQueryBuilder query = maxsim(query(), codebook());
        MaxSimRescorerBuilder rescorer = rescorer(query(), codebook(), null);
        NamedWriteableRegistry registry = getInstanceFromNode(NamedWriteableRegistry.class);
        assertEquals(query, copyWriteable(query, registry, in -> new MaxSimQueryBuilder(in, searches())));
        assertEquals(rescorer, copyWriteable(rescorer, registry, in -> new MaxSimRescorerBuilder(in, searches())));
        assertNotEquals(query, maxsim(query(), codebook()));
        assertEquals(query, MaxSimQueryBuilder.parse(parser(query.toString()), searches()));
        assertEquals(rescorer, MaxSimRescorerBuilder.parse(parser(rescorer.toString()), searches()));
        for (String id : List.of("", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0")) {
            String json = "{\"maxsim\": {\"field\": \"mv\", \"query_vectors\": [[1]], \"codebook\": \"" + id + "\"}}";
            OpenSearchException e = expectThrows(
                OpenSearchException.class,
                () -> MaxSimQueryBuilder.parse(parser(json), searches())
            );
            assertTrue(e.getMessage(), e.getMessage().contains("[codebook] is [" + id + "]: it must be the 16 hex digits"));
        }
    }

    /** At the object under the key "maxsim". */
    private XContentParser parser(String json) throws IOException {
        XContentParser parser = createParser(JsonXContent.jsonXContent, json);
        while (parser.nextToken() != XContentParser.Token.FIELD_NAME || !parser.currentName().equals("maxsim")) {
            assertNotNull(parser.currentToken());
        }
        parser.nextToken();
        return parser;
    }
}
