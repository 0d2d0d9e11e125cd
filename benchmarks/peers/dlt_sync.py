"""A peer's way to do the job: dlt, its REST source into a database, merged on `_id`.

    python benchmarks/peers/dlt_sync.py FOLDER DESTINATION URL USER_ID TOKEN ENDPOINT SELECTOR

DESTINATION is sqlite:///… or postgresql://…; ENDPOINT is one of Rocket.Chat's, and SELECTOR the
JSONPath of the operations in its answer. FOLDER is where dlt keeps what it works on.
"""

import sys

import dlt
from dlt.sources.rest_api import rest_api_source

folder, destination, url, user_id, token, endpoint, selector = sys.argv[1:]
source = rest_api_source(
    {
        "client": {
            "base_url": f"{url}/api/v1/",
            "headers": {"X-User-Id": user_id, "X-Auth-Token": token},
            "paginator": "single_page",
        },
        "resources": [
            {
                "name": "import_operation",
                "primary_key": "_id",
                "write_disposition": "merge",
                "endpoint": {"path": endpoint, "data_selector": selector},
            }
        ],
    }
)
is_sqlite = destination.startswith("sqlite")
make = dlt.destinations.sqlalchemy if is_sqlite else dlt.destinations.postgres
pipeline = dlt.pipeline(
    "peer",
    destination=make(destination),
    dataset_name="main" if is_sqlite else "rocketchat",
    pipelines_dir=folder,
)
pipeline.run(source).raise_on_failed_jobs()
