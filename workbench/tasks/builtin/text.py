"""Reading a completion as TRL's built-in rewards read it."""

from workbench.tasks.base import Text, text_of


def first_text(completion: Text) -> str:
    """Return a completion as one string: itself, or the content of its first message.

    >>> first_text([{"role": "assistant", "content": "70"}, {"role": "tool", "content": "ok"}])
    '70'
    """
    return completion if isinstance(completion, str) else text_of(completion[:1])
