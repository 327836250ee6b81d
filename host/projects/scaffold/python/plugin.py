"""The functions of plugin PROJECT_NAME."""

from mix import Failure, needs, plugin

# What the plugin cannot do without: "http", "http:HOST", "folder", "env:NAME". Its operator has to grant it.
Needs = needs()


def shout(text):
    """A text in capital letters, with an exclamation mark.

    Type: string -> string
    """
    return text.upper() + "!"


def twice(number):
    """Twice a number of at most a million.

    Type: number -> number
    """
    if abs(number) > 1e6:
        raise Failure("ERR_RANGE", "the number is too large")
    return 2 * number


# An async function may wait; a generator, async or not, gives a stream.
async def words(text):
    """The words of a text, one by one.

    Type: string -> stream(string)
    """
    for word in text.split():
        yield word


Family = plugin("PROJECT_NAME", shout, twice, words)
