"""Pure and columnar: no clock, no network, no asyncio. The same seed gives the same payments."""
