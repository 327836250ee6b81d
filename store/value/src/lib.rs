//! Mix values: MessagePack wire form, EscJSON, equality and order.
