"""A check that S3 can be written to, before anything is paid for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scrapy.settings import BaseSettings

TRIAL = ".xhs-write-test"
"""The name of the empty object that is written and deleted. It stays if the key may not delete."""

_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_ATTEMPTS = 2


class S3Refused(Exception):
    """S3 cannot be reached, or refuses a request; the message says why, on one line."""

    def __init__(self, reason: object, status: int | None = None) -> None:
        super().__init__(" ".join(str(reason).split()))
        self.status = status


class S3:
    """A client of S3 with the settings of Scrapy's feeds, but with short time-outs and few retries.

    Raises:
        S3Refused: if boto3 is not installed, or cannot use the settings.
    """

    def __init__(self, settings: BaseSettings) -> None:
        try:
            import boto3.session  # an optional dependency
            from botocore import exceptions
            from botocore.config import Config
        except ImportError:
            raise S3Refused("boto3 is not installed: pip install boto3") from None
        self._errors = exceptions
        acl = settings["FEED_STORAGE_S3_ACL"]
        self._options = {"ACL": acl} if acl else {}
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS},
        )
        try:
            self._client: Any = boto3.session.Session().client(
                "s3",
                aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=settings["AWS_SESSION_TOKEN"],
                endpoint_url=settings["AWS_ENDPOINT_URL"] or None,
                region_name=settings["AWS_REGION_NAME"] or None,
                config=config,
            )
        except (exceptions.BotoCoreError, ValueError) as error:
            raise S3Refused(error) from None

    def try_writing(self, bucket: str, folder: str) -> None:
        """Write an empty object to a folder, and delete it.

        Raises:
            S3Refused: if it cannot be written.
        """
        key = f"{folder}/{TRIAL}".removeprefix("/")
        self._call("put_object", Bucket=bucket, Key=key, Body=b"", **self._options)
        with suppress(S3Refused):  # feeds are never deleted, so the key need not allow it
            self._call("delete_object", Bucket=bucket, Key=key)

    def find_bucket(self, bucket: str) -> None:
        """Look for a bucket without writing to it.

        Raises:
            S3Refused: if it does not exist.
        """
        try:
            self._call("head_bucket", Bucket=bucket)
        except S3Refused as refused:
            if refused.status != 403:  # a key that may only write gets this
                raise

    def is_free(self, bucket: str, key: str) -> bool:
        """True if there is certainly no object with this key."""
        try:
            self._call("head_object", Bucket=bucket, Key=key)
        except S3Refused as refused:
            return refused.status == 404
        return False

    def _call(self, operation: str, **arguments: Any) -> None:
        try:
            getattr(self._client, operation)(**arguments)
        except self._errors.NoCredentialsError:
            raise S3Refused(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
            ) from None
        except self._errors.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            details = error.response.get("Error", {})
            reason = f"{details.get('Code')}: {details.get('Message')}"
            raise S3Refused(
                f"S3 refuses it ({reason}): check the bucket, its region and the key's permissions",
                status,
            ) from None
        except (self._errors.BotoCoreError, ValueError) as error:
            raise S3Refused(error) from None
