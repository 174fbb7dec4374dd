"""The core: records, teacher, generation, durable shards. Imports none of its sibling packages."""

__version__ = "0.1.0"
