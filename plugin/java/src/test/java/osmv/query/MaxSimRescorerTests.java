package osmv.query;

import static org.opensearch.index.query.QueryBuilders.functionScoreQuery;
import static org.opensearch.index.query.QueryBuilders.matchAllQuery;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.apache.lucene.search.Explanation;
import org.opensearch.OpenSearchException;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.functionscore.ScoreFunctionBuilders;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchHits;
import org.opensearch.search.rescore.RescorerBuilder;
import osmv.codecs.Codecs;
import osmv.maxsim.QueryVectors;
import osmv.query.MaxSimRescorerBuilder.First;

/** The rescorer on a node: what it scores, and where it puts what it doesn't. */
public final class MaxSimRescorerTests extends NodeTestCase {
    /** A first stage with an order of its own: the number in a document's id, the greatest first. */
    private static final QueryBuilder FIRST_STAGE = functionScoreQuery(
        matchAllQuery(),
        ScoreFunctionBuilders.fieldValueFactorFunction("n").setWeight(1)
    );

    private MaxSimRescorerBuilder rescorer(QueryVectors query, First first) {
        return new MaxSimRescorerBuilder("mv", query, first, searches());
    }

    private SearchRequestBuilder rescored(RescorerBuilder<?> rescorer, int window) {
        return search(FIRST_STAGE).setRescorer(rescorer, window);
    }

    /** The first {@code n} ids by that, then the rest as they were. */
    private static List<String> moved(List<String> ids, int n, ToDoubleFunction<String> score) {
        List<String> moved = new ArrayList<>(ids.stream().filter(id -> score.applyAsDouble(id) > 0).toList());
        moved.sort(Comparator.comparingDouble(score).reversed());
        moved = new ArrayList<>(moved.subList(0, Math.min(n, moved.size())));
        for (String id : ids) {
            if (!moved.contains(id)) {
                moved.add(id);
            }
        }
        return moved;
    }

    private double score(QueryVectors query, String id) {
        return documents.containsKey(id) ? Corpus.score(query, documents.get(id)) : 0;
    }

    public void testWholeWindow() {
        index("f32");
        QueryVectors query = query();
        List<String> before = ids(search(FIRST_STAGE).get().getHits());
        SearchHits hits = rescored(rescorer(query, null), 100).get().getHits();
        assertEquals(moved(before, 100, id -> score(query, id)), ids(hits));
        assertEquals(before.size(), hits.getTotalHits().value());
        for (SearchHit hit : hits) {
            assertEquals(hit.getId(), score(query, hit.getId()), hit.getScore(), tolerance(query, "f32"));
        }
        assertEquals(hits.getAt(0).getScore(), hits.getMaxScore(), 0);
    }

    public void testBeyondTheWindow() {
        index("f32");
        QueryVectors query = query();
        List<String> before = ids(search(FIRST_STAGE).get().getHits());
        List<String> window = before.subList(0, 20);
        SearchHits hits = rescored(rescorer(query, null), 20).get().getHits();
        assertEquals(moved(before, 20, id -> window.contains(id) ? score(query, id) : 0), ids(hits));
        for (SearchHit hit : hits) {
            assertEquals(window.contains(hit.getId()) ? score(query, hit.getId()) : 0, hit.getScore(), tolerance(query, "f32"));
        }
    }

    public void testFirstKeepsTheBestByItsOwnField() {
        index("f32");
        QueryVectors query = query();
        List<String> before = ids(search(FIRST_STAGE).get().getHits());
        List<String> byBits = ids(
            search(FIRST_STAGE).setRescorer(new MaxSimRescorerBuilder("bits", query, null, searches()), 100).get().getHits()
        ).subList(0, 10);
        SearchHits hits = rescored(rescorer(query, new First("bits", 10)), 100).get().getHits();
        assertEquals(moved(before, 10, id -> byBits.contains(id) ? score(query, id) : 0), ids(hits));
        for (SearchHit hit : hits) {
            assertEquals(byBits.contains(hit.getId()) ? score(query, hit.getId()) : 0, hit.getScore(), tolerance(query, "f32"));
        }
        // More than there are: all with vectors are kept, and no others.
        hits = rescored(rescorer(query, new First("bits", 1000)), 100).get().getHits();
        assertEquals(moved(before, 100, id -> score(query, id)), ids(hits));
    }

    public void testTiesKeepTheirOrder() {
        create("mv", "type=binary,doc_values=true", "n", "type=integer");
        String blob = Corpus.base64("int8", Corpus.vectors(random(), 4));
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            client().prepareIndex("docs").setId("d" + i).setSource("mv", blob, "n", i * 17 % 30).get();
            expected.add("d" + i);
            if (i % 10 == 9) {
                refresh();
            }
        }
        expected.sort(Comparator.comparingInt(id -> -(Integer.parseInt(id.substring(1)) * 17 % 30)));
        assertEquals(expected, ids(rescored(rescorer(query(), null), 100).get().getHits()));
    }

    public void testNothingToScore() {
        create("mv", "type=binary,doc_values=true", "n", "type=integer");
        assertEquals(0, rescored(rescorer(query(), null), 100).get().getHits().getHits().length);
        client().prepareIndex("docs").setId("d1").setSource("n", 1).get();
        refresh();
        MaxSimRescorerBuilder nowhere = new MaxSimRescorerBuilder("nowhere", query(), new First("mv", 3), searches());
        for (RescorerBuilder<?> rescorer : List.of(rescorer(query(), null), nowhere)) {
            SearchHits hits = rescored(rescorer, 100).get().getHits();
            assertEquals(List.of("d1"), ids(hits));
            assertEquals(0, hits.getAt(0).getScore(), 0);
        }
    }

    public void testExplanationIsOfTheScore() {
        index(randomFrom(Codecs.names()));
        QueryVectors query = query();
        int scored = 0;
        for (SearchHit hit : rescored(rescorer(query, new First("bits", 15)), 30).setExplain(true).get().getHits()) {
            Explanation explanation = hit.getExplanation();
            assertEquals(hit.getScore(), explanation.getValue().floatValue(), 0);
            scored += hit.getScore() > 0 ? 1 : 0;
            assertEquals(hit.getScore() > 0, explanation.getDescription().startsWith("maxsim of field [mv]"));
        }
        assertEquals(15, scored);
    }

    public void testWindowHasALimit() {
        index("int8");
        setting(Searches.MAX_WINDOW_SIZE.getKey(), "50");
        try {
            rescored(rescorer(query(), null), 50).get();
            OpenSearchException e = expectThrows(OpenSearchException.class, rescored(rescorer(query(), null), 51)::get);
            assertEquals(RestStatus.BAD_REQUEST, e.status());
            assertTrue(e.toString() + e.getCause(), (e.toString() + e.getCause()).contains("window_size is 51"));
        } finally {
            setting(Searches.MAX_WINDOW_SIZE.getKey(), null);
        }
    }

    private void setting(String key, String value) {
        Settings.Builder settings = value == null ? Settings.builder().putNull(key) : Settings.builder().put(key, value);
        client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings).get();
    }

    public void testSurvivesJsonAndTheWire() throws Exception {
        MaxSimRescorerBuilder original = rescorer(query(), randomBoolean() ? null : new First("bits", between(1, 1000)));
        original.windowSize(between(1, 1000));
        try (XContentParser parser = createParser(JsonXContent.jsonXContent, original.toString())) {
            parser.nextToken();
            RescorerBuilder<?> parsed = RescorerBuilder.parseFromXContent(parser);
            assertEquals(original, parsed);
            assertEquals(original.hashCode(), parsed.hashCode());
        }
        NamedWriteableRegistry registry = getInstanceFromNode(NamedWriteableRegistry.class);
        assertEquals(original, copyWriteable(original, registry, in -> new MaxSimRescorerBuilder(in, searches())));
    }

    @Override
    protected NamedXContentRegistry xContentRegistry() {
        return getInstanceFromNode(NamedXContentRegistry.class);
    }

    public void testRefusesWhatItDoesNotKnow() {
        String vectors = "\"query_vectors\": [[1, 2]]";
        assertRefused("[maxsim] does not know [keep]", "\"field\": \"mv\", \"keep\": 3, " + vectors);
        assertRefused("[maxsim] needs [field]", vectors);
        assertRefused("[maxsim] needs [query_vectors]", "\"field\": \"mv\"");
        assertRefused("[maxsim] needs [first.keep]", "\"field\": \"mv\", \"first\": {\"field\": \"b\"}, " + vectors);
        assertRefused("[maxsim] needs [first.field]", "\"field\": \"mv\", \"first\": {\"keep\": 1}, " + vectors);
        assertRefused("[first.keep] is 0", "\"field\": \"mv\", \"first\": {\"field\": \"b\", \"keep\": 0}, " + vectors);
        assertRefused("[first.keep] is 1.5", "\"field\": \"mv\", \"first\": {\"field\": \"b\", \"keep\": 1.5}, " + vectors);
        assertRefused("does not know [first.size]", "\"field\": \"mv\", \"first\": {\"size\": 2}, " + vectors);
        assertRefused("[first] must be an object", "\"field\": \"mv\", \"first\": 3, " + vectors);
    }

    private void assertRefused(String part, String content) {
        OpenSearchException e = expectThrows(OpenSearchException.class, () -> {
            try (XContentParser parser = createParser(JsonXContent.jsonXContent, "{" + content + "}")) {
                parser.nextToken();
                MaxSimRescorerBuilder.parse(parser, searches());
            }
        });
        assertEquals(RestStatus.BAD_REQUEST, e.status());
        assertTrue(e.getMessage(), e.getMessage().contains(part));
    }
}
