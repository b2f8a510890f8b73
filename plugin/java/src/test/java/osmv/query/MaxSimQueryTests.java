package osmv.query;

import static org.opensearch.index.query.QueryBuilders.boolQuery;
import static org.opensearch.index.query.QueryBuilders.matchAllQuery;
import static org.opensearch.index.query.QueryBuilders.termQuery;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchHits;
import org.opensearch.search.rescore.QueryRescoreMode;
import org.opensearch.search.rescore.QueryRescorerBuilder;
import org.opensearch.test.OpenSearchSingleNodeTestCase;
import osmv.MultiVectorPlugin;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** The query on a node, against MaxSim in double precision: all codecs, several segments, deleted documents and empty ones. */
public final class MaxSimQueryTests extends OpenSearchSingleNodeTestCase {
    private final Map<String, float[][]> documents = new HashMap<>();

    @Override
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MultiVectorPlugin.class);
    }

    private void index(String codec) {
        String[] mapping = { "mv", "type=binary,doc_values=true", "colour", "type=keyword" };
        client().admin().indices().prepareCreate("docs").setMapping(mapping).get();
        documents.clear();
        for (int i = 0; i < 60; i++) {
            String id = "d" + i;
            String colour = i % 3 == 0 ? "red" : "blue";
            if (i % 7 == 6) {
                client().prepareIndex("docs").setId(id).setSource("colour", colour).get();
            } else {
                documents.put(id, Corpus.vectors(random(), between(1, 20)));
                client().prepareIndex("docs").setId(id).setSource("mv", Corpus.base64(codec, documents.get(id)), "colour", colour).get();
            }
            if (i % 17 == 16) {
                client().admin().indices().prepareRefresh("docs").get();
            }
        }
        for (int i = 0; i < 60; i += 11) {
            client().prepareDelete("docs", "d" + i).get();
            documents.remove("d" + i);
        }
        client().admin().indices().prepareRefresh("docs").get();
    }

    private QueryVectors query(Scoring scoring) {
        int count = between(1, 9);
        float[] weights = new float[count];
        for (int i = 0; i < count; i++) {
            weights[i] = 0.25f + random().nextFloat();
        }
        return new QueryVectors(Corpus.vectors(random(), count), randomBoolean() ? null : weights, scoring);
    }

    private static MaxSimQueryBuilder maxsim(QueryVectors query) {
        return maxsim(query, null);
    }

    private static MaxSimQueryBuilder maxsim(QueryVectors query, Double minScore) {
        return new MaxSimQueryBuilder("mv", query, minScore, new Searches());
    }

    private SearchRequestBuilder search() {
        return client().prepareSearch("docs").setSize(100);
    }

    private static double tolerance(QueryVectors query, String codec) {
        double weights = 0;
        for (float weight : query.weights()) {
            weights += weight;
        }
        return weights * Corpus.ERROR.get(codec);
    }

    public void testScoresOfAllCodecs() {
        for (String codec : Corpus.ERROR.keySet()) {
            index(codec);
            for (Scoring scoring : Scoring.values()) {
                QueryVectors query = query(scoring);
                SearchHits hits = search().setQuery(maxsim(query)).get().getHits();
                assertEquals(documents.size(), hits.getHits().length);
                for (SearchHit hit : hits) {
                    double expected = Corpus.score(query, documents.get(hit.getId()));
                    assertEquals(codec + " " + hit.getId(), expected, hit.getScore(), tolerance(query, codec));
                }
            }
            client().admin().indices().prepareDelete("docs").get();
        }
    }

    public void testInBoolAndRescore() {
        index("f32");
        QueryVectors query = query(Scoring.SUM_MAX);
        double tolerance = 2 * tolerance(query, "f32");
        SearchHits must = search().setQuery(boolQuery().must(maxsim(query)).filter(termQuery("colour", "red"))).get().getHits();
        assertEquals(documents.keySet().stream().filter(id -> Integer.parseInt(id.substring(1)) % 3 == 0).count(), must.getHits().length);
        SearchHits should = search().setQuery(boolQuery().must(matchAllQuery()).should(maxsim(query).boost(2))).get().getHits();
        SearchHits rescored = search().setQuery(matchAllQuery())
            .setRescorer(
                new QueryRescorerBuilder(maxsim(query)).setScoreMode(QueryRescoreMode.Total).setQueryWeight(1).setRescoreQueryWeight(2),
                100
            )
            .get()
            .getHits();
        assertEquals(should.getHits().length, rescored.getHits().length);
        for (SearchHits hits : List.of(must, should, rescored)) {
            for (SearchHit hit : hits) {
                float[][] document = documents.get(hit.getId());
                double expected = document == null ? 0 : Corpus.score(query, document);
                assertEquals(hit.getId(), hits == must ? expected : 1 + 2 * expected, hit.getScore(), tolerance);
            }
        }
    }
}
