package osmv.stats;

import java.util.List;
import org.opensearch.core.common.Strings;
import org.opensearch.rest.BaseRestHandler;
import org.opensearch.rest.RestRequest;
import org.opensearch.rest.RestRequest.Method;
import org.opensearch.rest.action.RestActions.NodesResponseRestListener;
import org.opensearch.transport.client.node.NodeClient;

/** {@code GET /_plugins/_multivector/stats}: of all nodes or of some. */
public final class RestStatsAction extends BaseRestHandler {
    @Override
    public String getName() {
        return "multivector_stats";
    }

    @Override
    public List<Route> routes() {
        return List.of(
            new Route(Method.GET, "/_plugins/_multivector/stats"),
            new Route(Method.GET, "/_plugins/_multivector/{nodeId}/stats")
        );
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        StatsRequest stats = new StatsRequest(Strings.splitStringByCommaToArray(request.param("nodeId")));
        stats.timeout(request.param("timeout"));
        return channel -> client.execute(StatsAction.TYPE, stats, new NodesResponseRestListener<>(channel));
    }

    @Override
    public boolean canTripCircuitBreaker() {
        return false;
    }
}
