"""Calls the tool `best_movies` with the official client of the Model Context Protocol.

Usage: client.py http URL | client.py stdio PROGRAM ARGUMENT...
"""

import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport(kind, place, *arguments):
    if kind == "http":
        return streamable_http_client(place)
    return stdio_client(StdioServerParameters(command=place, args=list(arguments)))


async def main():
    async with transport(*sys.argv[1:]) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert [tool.name for tool in tools] == ["best_movies"], tools
            called = await session.call_tool("best_movies", {"top": 1})
            assert "The Shawshank Redemption" in called.content[0].text, called
            try:
                wrong = await session.call_tool("best_movies", {"top": 0})
                assert False, wrong
            except Exception as error:
                assert "at least 1" in str(error), error
            print(sys.argv[1], "ok:", tools[0].description)


asyncio.run(main())
