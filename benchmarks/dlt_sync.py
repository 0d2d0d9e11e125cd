"""The same job by dlt: its REST source into a database, merged on `_id`.

    python -m benchmarks.dlt_sync FOLDER DESTINATION URL USER_ID TOKEN

FOLDER is dlt's working folder; DESTINATION is sqlite:///… or postgresql://….
"""

import sys

import dlt
from dlt.sources.rest_api import rest_api_source

if __name__ == "__main__":
    folder, destination, url, user_id, token = sys.argv[1:]
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
                    "endpoint": {"path": "getCurrentImportOperation", "data_selector": "operation"},
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
