package osmv.query;

import static org.opensearch.index.query.QueryBuilders.boolQuery;
import static org.opensearch.index.query.QueryBuilders.functionScoreQuery;
import static org.opensearch.index.query.QueryBuilders.matchAllQuery;
import static org.opensearch.index.query.QueryBuilders.nestedQuery;
import static org.opensearch.index.query.QueryBuilders.termQuery;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.join.ScoreMode;
import org.opensearch.OpenSearchException;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.common.lucene.search.function.CombineFunction;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.functionscore.ScoreFunctionBuilders;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchHits;
import org.opensearch.search.rescore.QueryRescoreMode;
import org.opensearch.search.rescore.QueryRescorerBuilder;
import osmv.codecs.Codecs;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** The query on a node, against MaxSim in double precision: all codecs, several segments, deleted documents and empty ones. */
public final class MaxSimQueryTests extends NodeTestCase {
    private QueryBuilder nested(QueryVectors query) {
        return nestedQuery("parts", new MaxSimQueryBuilder("parts.mv", query, null, searches()), ScoreMode.Max);
    }

    private void assertFails(RestStatus status, String part, SearchRequestBuilder request) {
        OpenSearchException e = expectThrows(OpenSearchException.class, request::get);
        assertEquals(status, e.status());
        assertTrue(e.toString() + e.getCause(), (e.toString() + e.getCause()).contains(part));
    }

    public void testScoresOfAllCodecs() {
        for (String codec : Corpus.ERROR.keySet()) {
            index(codec);
            for (Scoring scoring : Scoring.values()) {
                QueryVectors query = query(scoring);
                SearchHits hits = search(maxsim(query)).get().getHits();
                assertEquals(documents.keySet(), Set.copyOf(ids(hits)));
                for (SearchHit hit : hits) {
                    double expected = Corpus.score(query, documents.get(hit.getId()));
                    assertEquals(codec + " " + hit.getId(), expected, hit.getScore(), tolerance(query, codec));
                }
            }
            client().admin().indices().prepareDelete("docs").get();
        }
    }

    public void testInBoolFunctionScoreAndRescore() {
        index("f32");
        QueryVectors query = query();
        double tolerance = 2 * tolerance(query, "f32");
        SearchHits must = search(boolQuery().must(maxsim(query)).filter(termQuery("colour", "red"))).get().getHits();
        assertEquals(documents.keySet().stream().filter(NodeTestCase::red).count(), must.getHits().length);
        SearchHits should = search(boolQuery().must(matchAllQuery()).should(maxsim(query).boost(2))).get().getHits();
        SearchHits function = search(
            functionScoreQuery(maxsim(query), ScoreFunctionBuilders.weightFactorFunction(3)).boostMode(CombineFunction.MULTIPLY)
        ).get().getHits();
        assertEquals(documents.size(), function.getHits().length);
        SearchHits rescored = search(matchAllQuery()).setRescorer(
            new QueryRescorerBuilder(maxsim(query)).setScoreMode(QueryRescoreMode.Total).setRescoreQueryWeight(2),
            100
        ).get().getHits();
        assertEquals(should.getHits().length, rescored.getHits().length);
        for (SearchHits hits : List.of(must, should, function, rescored)) {
            for (SearchHit hit : hits) {
                float[][] document = documents.get(hit.getId());
                double score = document == null ? 0 : Corpus.score(query, document);
                double expected = hits == must ? score : hits == function ? 3 * score : 1 + 2 * score;
                assertEquals(hit.getId(), expected, hit.getScore(), 2 * tolerance);
            }
        }
    }

    public void testWithoutScoresEveryDocumentWithVectorsMatches() {
        index("int8");
        assertEquals(documents.size(), search(boolQuery().filter(maxsim(query()))).get().getHits().getTotalHits().value());
        assertEquals(documents.size(), search(maxsim(query())).setSize(0).get().getHits().getTotalHits().value());
        assertEquals(54 - documents.size(), search(boolQuery().mustNot(maxsim(query()))).get().getHits().getTotalHits().value());
    }

    public void testMinScoreIsOfTheRawScore() {
        index("f32");
        QueryVectors query = query();
        List<Double> raw = documents.values().stream().map(document -> Corpus.maxsim(query, document)).sorted().toList();
        double minimum = (raw.get(raw.size() / 2) + raw.get(raw.size() / 2 + 1)) / 2;
        long above = raw.stream().filter(score -> score >= minimum).count();
        for (QueryBuilder builder : List.of(maxsim(query, minimum), boolQuery().filter(maxsim(query, minimum)))) {
            assertEquals(above, search(builder).get().getHits().getTotalHits().value());
        }
    }

    public void testExplanationHasTheScoreAndItsParts() {
        index(randomFrom(Codecs.names()));
        QueryVectors query = query(randomFrom(Scoring.values()));
        for (SearchHit hit : search(maxsim(query).boost(2)).setExplain(true).get().getHits()) {
            Explanation explanation = hit.getExplanation();
            assertEquals(hit.getScore(), explanation.getValue().floatValue(), 0);
            Explanation[] details = explanation.getDetails();
            float raw = details[0].getValue().floatValue();
            assertEquals(hit.getScore(), 2 * query.scoring().score(raw, query.weights()), 1e-4);
            assertEquals(documents.get(hit.getId()).length, details[3].getValue().intValue());
            float[] similarities = new float[query.count()];
            for (int i = 0; i < query.count(); i++) {
                similarities[i] = details[4 + i].getValue().floatValue();
                assertTrue(details[4 + i].getDescription().contains("document token "));
            }
            assertEquals(raw, query.scoring().combine(similarities, query.weights()), 1e-4);
        }
        for (int i = 0; i < 60; i++) {
            boolean matches = documents.containsKey("d" + i);
            assertEquals(matches, client().prepareExplain("docs", "d" + i).setQuery(maxsim(query)).get().isMatch());
        }
    }

    public void testNested() {
        create("parts", "type=nested");
        client().admin().indices().preparePutMapping("docs").setSource(
            "{\"properties\":{\"parts\":{\"type\":\"nested\","
                + "\"properties\":{\"mv\":{\"type\":\"binary\",\"doc_values\":true}}}}}",
            XContentType.JSON
        ).get();
        Map<String, List<float[][]>> parts = new HashMap<>();
        for (int i = 0; i < 10; i++) {
            List<float[][]> own = new ArrayList<>();
            List<Map<String, String>> source = new ArrayList<>();
            for (int j = 0; j < 1 + i % 3; j++) {
                own.add(Corpus.vectors(random(), 5));
                source.add(Map.of("mv", Corpus.base64("f32", own.get(j))));
            }
            parts.put("p" + i, own);
            client().prepareIndex("docs").setId("p" + i).setSource("parts", source).get();
        }
        refresh();
        QueryVectors query = query();
        SearchHits hits = search(nested(query)).get().getHits();
        assertEquals(10, hits.getHits().length);
        for (SearchHit hit : hits) {
            double best = parts.get(hit.getId()).stream().mapToDouble(part -> Corpus.score(query, part)).max().getAsDouble();
            assertEquals(best, hit.getScore(), tolerance(query, "f32"));
        }
    }

    public void testProfileAndConcurrentSearchChangeNothing() {
        index("int8");
        QueryVectors query = query();
        List<String> expected = ids(search(maxsim(query)).get().getHits());
        assertEquals(expected, ids(search(maxsim(query)).setProfile(true).get().getHits()));
        client().admin().indices().prepareUpdateSettings("docs").setSettings(
            Map.of("index.search.concurrent_segment_search.mode", "all", "index.search.concurrent.max_slice_count", 3)
        ).get();
        assertEquals(expected, ids(search(maxsim(query)).get().getHits()));
        assertEquals(expected, ids(search(maxsim(query)).setProfile(true).get().getHits()));
    }

    public void testDocumentsWithoutTokensAndWithSeveralValues() {
        create("mv", "type=binary,doc_values=true");
        float[][] vectors = Corpus.vectors(random(), 3);
        put("none", Corpus.base64("int8", new float[0][]));
        put("two", List.of(Corpus.base64("f32", vectors), Corpus.base64("f32", vectors)));
        refresh();
        QueryVectors query = query();
        SearchHits hits = search(maxsim(query)).get().getHits();
        assertEquals(Set.of("two", "none"), Set.copyOf(ids(hits)));
        for (SearchHit hit : hits) {
            double expected = hit.getId().equals("two") ? Corpus.score(query, vectors) : Scoring.SUM_MAX.scale(query.weights());
            assertEquals(expected, hit.getScore(), tolerance(query, "f32"));
        }
    }

    public void testUnknownFieldMatchesNothingAndOthersAreRefused() {
        index("int8");
        QueryVectors query = query();
        assertEquals(0, search(new MaxSimQueryBuilder("nowhere", query, null, searches())).get().getHits().getHits().length);
        assertFails(
            RestStatus.BAD_REQUEST,
            "[maxsim] can't read field [colour] of type [keyword]",
            search(new MaxSimQueryBuilder("colour", query, null, searches()))
        );
        QueryVectors narrow = new QueryVectors(new float[][] { { 1, 2, 3 } }, null, Scoring.SUM_MAX);
        assertFails(RestStatus.BAD_REQUEST, "the query's vectors have 3 dimensions, the stored ones 33", search(maxsim(narrow)));
    }
}
