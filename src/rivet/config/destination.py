"""`destination:`: where the files of an export go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rivet.config.base import Factor, Flag, Positive, Section, Text


class DestinationConfig(Section):
    """A folder, an object store or standard output; secrets are named, never written here."""

    type: Literal["local", "s3", "gcs", "azure", "stdout"] = Field(
        description="Kind of destination."
    )
    path: Text | None = Field(
        default=None,
        description="Folder of local files, relative to the configuration; may hold {date}, "
        "{export}, {table}, {run_id} and {partition}.",
    )
    timeout_s: Factor | None = Field(
        default=None,
        description="The most seconds that one call may take, such as a write or an fsync; 600 "
        "without it; 0 is no limit.",
    )
    bucket: Text | None = Field(default=None, description="Bucket, or container on Azure.")
    prefix: Text | None = Field(
        default=None, description="Folder inside the bucket; placeholders as in path."
    )
    region: Text | None = Field(default=None, description="Region of the bucket.")
    endpoint: Text | None = Field(
        default=None, description="Address of a store other than the provider's."
    )
    credentials_file: Text | None = Field(default=None, description="Service account file of GCS.")
    access_key_env: Text | None = Field(
        default=None, description="Variable that holds the S3 access key."
    )
    secret_key_env: Text | None = Field(
        default=None, description="Variable that holds the S3 secret key."
    )
    session_token_env: Text | None = Field(
        default=None, description="Variable that holds the S3 session token."
    )
    aws_profile: Text | None = Field(
        default=None, description="Profile of the AWS configuration files."
    )
    account_name: Text | None = Field(default=None, description="Azure storage account.")
    account_key_env: Text | None = Field(
        default=None, description="Variable that holds the Azure key."
    )
    sas_token_env: Text | None = Field(
        default=None, description="Variable that holds the Azure SAS token."
    )
    allow_anonymous: Flag = Field(default=False, description="Send no credentials; for emulators.")
    allow_http: Flag = Field(
        default=False,
        description="Speak to an `endpoint` of another machine without TLS; said with every run.",
    )
    oneshot_budget_mb: Positive | None = Field(
        default=None,
        description="Megabytes of objects that wait in memory to be published, 64 without it; "
        "what exceeds them waits in a temporary file.",
    )
