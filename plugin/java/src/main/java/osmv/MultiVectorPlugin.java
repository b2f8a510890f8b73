package osmv;

import org.opensearch.plugins.Plugin;

/** Late interaction inside OpenSearch: what the plugin brings is registered here, and nothing else happens here. */
public final class MultiVectorPlugin extends Plugin {}
