//! Places in source text.
//!
//! A [`Span`] is a half-open byte range of one source of the compilation. It
//! becomes a file, lines and columns only when an issue is shown, through the
//! [`SourceMap`](super::source::SourceMap).

/// Index of a source in the [`SourceMap`](super::source::SourceMap).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SourceId(pub u32);

/// A half-open range of bytes in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// The source the range lies in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Span {
    /// The range `start .. end` of a source.
    pub fn new(source: SourceId, start: u32, end: u32) -> Self {
        Span { source, start, end }
    }

    /// The smallest range that contains both; the source is that of `self`.
    pub fn to(self, other: Span) -> Span {
        if other.source != self.source {
            return self;
        }
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The empty range right after this one.
    pub fn after(self) -> Span {
        Span {
            source: self.source,
            start: self.end,
            end: self.end,
        }
    }
}
