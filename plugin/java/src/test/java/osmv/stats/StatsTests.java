package osmv.stats;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.opensearch.Version;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.ActionType;
import org.opensearch.cluster.ClusterName;
import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.breaker.NoopCircuitBreaker;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.indices.breaker.NoneCircuitBreakerService;
import org.opensearch.core.xcontent.ToXContent;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.rest.RestController;
import org.opensearch.rest.RestRequest;
import org.opensearch.test.OpenSearchTestCase;
import org.opensearch.test.client.NoOpNodeClient;
import org.opensearch.test.rest.FakeRestChannel;
import org.opensearch.test.rest.FakeRestRequest;
import org.opensearch.usage.UsageService;
import osmv.codebooks.Codebooks;
import osmv.kernels.Kernels;
import osmv.stats.Counters.Tally;

/** What the stats look like, here and on the other end of the wire; which nodes are asked. */
public final class StatsTests extends OpenSearchTestCase {
    private final NamedWriteableRegistry registry = new NamedWriteableRegistry(List.of());

    private static Tally tally(long documents, long nanoseconds, long bytes, long damaged) {
        Tally tally = new Tally();
        tally.documents = documents;
        tally.nanoseconds = nanoseconds;
        tally.bytes = bytes;
        tally.damaged = damaged;
        return tally;
    }

    private static Map<String, Object> json(StatsResponse response) throws Exception {
        XContentBuilder builder = JsonXContent.contentBuilder().startObject();
        response.toXContent(builder, ToXContent.EMPTY_PARAMS);
        return XContentHelper.convertToMap(BytesReference.bytes(builder.endObject()), true, builder.contentType()).v2();
    }

    public void testAddsUpAndSurvivesTheWire() throws Exception {
        Counters counters = new Counters();
        counters.add(List.of(tally(1, 10, 100, 3), tally(2, 20, 200, 4)));
        counters.add(List.of(tally(4, 40, 400, 0)));
        DiscoveryNode node = new DiscoveryNode("name", "id", buildNewFakeTransportAddress(), Map.of(), Set.of(), Version.CURRENT);
        Codebooks codebooks = new Codebooks(Settings.EMPTY, new NoopCircuitBreaker("multivector"));
        NodeStats stats = new NodeStats(node, counters, codebooks, new NoopCircuitBreaker("multivector"));
        StatsResponse response = new StatsResponse(new ClusterName("c"), List.of(stats), List.of());
        Map<String, Object> breaker = Map.of("limit_size_in_bytes", -1, "estimated_size_in_bytes", 0, "tripped", 0);
        Map<String, Object> expected = Map.of(
            "name", "name",
            "kernel", Kernels.current().name(),
            "version", ((Map<?, ?>) ((Map<?, ?>) json(response).get("nodes")).get("id")).get("version"),
            "requests", 2,
            "documents", 7,
            "nanoseconds", 70,
            "bytes", 700,
            "damaged", 7,
            "codebooks", Map.of("count", 0, "size_in_bytes", 0, "loads", 0),
            "breaker", breaker
        );
        assertEquals(Map.of("nodes", Map.of("id", expected)), json(response));
        assertEquals(json(response), json(copyWriteable(response, registry, StatsResponse::new)));
    }

    public void testAsksTheNodesThatAreNamed() throws Exception {
        assertArrayEquals(new String[0], asked("/_plugins/_multivector/stats"));
        assertArrayEquals(new String[] { "a", "b" }, asked("/_plugins/_multivector/a,b/stats"));
    }

    /** The nodes that the request of that path goes to, after the wire. */
    private String[] asked(String path) throws Exception {
        AtomicReference<String[]> nodes = new AtomicReference<>();
        try (NoOpNodeClient client = new NoOpNodeClient(getTestName()) {
            @Override
            public <Request extends ActionRequest, Response extends ActionResponse> void doExecute(
                ActionType<Response> action,
                Request request,
                ActionListener<Response> listener
            ) {
                assertEquals(StatsAction.TYPE, action);
                try {
                    nodes.set(copyWriteable((StatsRequest) request, registry, StatsRequest::new).nodesIds());
                } catch (Exception e) {
                    throw new AssertionError(e);
                }
            }
        }) {
            NoneCircuitBreakerService breakers = new NoneCircuitBreakerService();
            RestController controller = new RestController(Set.of(), null, client, breakers, new UsageService());
            controller.registerHandler(new RestStatsAction());
            RestRequest request = new FakeRestRequest.Builder(xContentRegistry()).withPath(path).build();
            controller.dispatchRequest(request, new FakeRestChannel(request, true, 0), client.threadPool().getThreadContext());
        }
        return nodes.get();
    }
}
