"""The Hugging Face hub, asked whether it answers before anything is loaded: the libraries try for most of a minute."""

from pathlib import Path

_SECONDS = 5.0  # to be found, to connect, and to answer


def hub_answers() -> bool:
    """Return whether the hub, or the mirror that HF_ENDPOINT names, answers; not where HF_HUB_OFFLINE is set."""
    import httpx2  # noqa: PLC0415  the hub's client; slow to import
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.utils import get_session  # noqa: PLC0415

    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS, follow_redirects=False)
    except (OSError, httpx2.HTTPError, ImportError, ValueError):  # the last two: of a proxy that it cannot use
        return False
    return True


def downloaded_model(name: str) -> str:
    """Return the folder that a model of the hub was downloaded to; raise OSError, in a sentence, if it never was."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return snapshot_download(name, local_files_only=True)
    except LocalEntryNotFoundError as error:
        raise OSError(no_answer()) from error


def was_downloaded(dataset: str) -> bool:
    """Return whether `datasets` keeps something of that name."""
    from datasets import config  # noqa: PLC0415  slow to import

    return (Path(config.HF_DATASETS_CACHE) / dataset.replace("/", "___")).is_dir()


def no_answer() -> str:
    from huggingface_hub import constants  # noqa: PLC0415

    return (
        f"the hub, {constants.ENDPOINT}, does not answer, and nothing of that name was downloaded before; "
        "HF_ENDPOINT may name a mirror"
    )
