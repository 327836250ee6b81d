//! Maps of the heap: small ones are a shared key list and a row of values, big
//! ones a persistent tree.

use std::rc::Rc;

use imbl::GenericOrdMap;
use imbl::shared_ptr::RcK;

use super::release::{release, release_tree};
use super::text::Text;
use super::value::Value;

/// Most entries of a small map.
pub const SMALL: usize = 32;

pub(super) type Tree = GenericOrdMap<Text, Value, RcK>;

/// Keys of small maps, strictly ascending by bytes, shared by all maps that
/// were made the same way: comparing two key lists is mostly comparing pointers.
#[derive(Debug)]
pub struct Shape {
    keys: Vec<Text>,
}

impl Shape {
    /// A key list; the keys must be strictly ascending.
    #[must_use]
    pub fn new(keys: Vec<Text>) -> Rc<Self> {
        debug_assert!(keys.is_sorted_by(|a, b| a < b), "keys ascend");
        Rc::new(Self { keys })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Text] {
        &self.keys
    }

    /// Position of a key.
    pub fn find(&self, key: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|known| known.as_str().cmp(key))
    }
}

/// An immutable map from texts to values, ascending by key. Changing a map
/// that nobody else holds happens in place.
#[derive(Clone, Debug)]
pub struct Map(Rc<Node>);

#[derive(Clone, Debug)]
enum Node {
    Small {
        shape: Rc<Shape>,
        values: Vec<Value>,
    },
    Big(Tree),
}

impl Drop for Node {
    fn drop(&mut self) {
        match self {
            Node::Small { values, .. } => release(std::mem::take(values)),
            Node::Big(tree) => release_tree(std::mem::take(tree)),
        }
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// The empty map.
    #[must_use]
    pub fn new() -> Self {
        Self(Rc::new(Node::Small {
            shape: Shape::new(Vec::new()),
            values: Vec::new(),
        }))
    }

    /// A map of a key list and its values, which are as many.
    #[must_use]
    pub fn of_shape(shape: &Rc<Shape>, values: Vec<Value>) -> Self {
        debug_assert_eq!(shape.keys.len(), values.len(), "a value for each key");
        if values.len() <= SMALL {
            Self(Rc::new(Node::Small {
                shape: Rc::clone(shape),
                values,
            }))
        } else {
            let tree = shape.keys.iter().cloned().zip(values).collect();
            Self(Rc::new(Node::Big(tree)))
        }
    }

    /// A map of entries in any order; of equal keys the last one wins.
    #[must_use]
    pub fn of_entries(mut entries: Vec<(Text, Value)>) -> Self {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            // Stable, so the last of equal keys stays last; then keep it.
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.reverse();
            entries.dedup_by(|later, earlier| later.0 == earlier.0);
            entries.reverse();
        }
        if entries.len() <= SMALL {
            let (keys, values) = entries.into_iter().unzip();
            Self(Rc::new(Node::Small {
                shape: Shape::new(keys),
                values,
            }))
        } else {
            Self(Rc::new(Node::Big(entries.into_iter().collect())))
        }
    }

    pub(super) fn node(&self) -> &Rc<impl Sized> {
        &self.0
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        match &*self.0 {
            Node::Small { values, .. } => values.len(),
            Node::Big(tree) => tree.len(),
        }
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match &*self.0 {
            Node::Small { shape, values } => values.get(shape.find(key).ok()?),
            Node::Big(tree) => tree.get(key),
        }
    }

    /// As [`get`](Self::get), with a guess where in a small map the key is,
    /// which is mended when wrong. Called with the same key, the guess mostly holds.
    #[inline]
    pub fn get_near(&self, key: &Text, guess: &std::cell::Cell<u8>) -> Option<&Value> {
        match &*self.0 {
            Node::Small { shape, values } => {
                let near = usize::from(guess.get());
                if let Some(known) = shape.keys.get(near)
                    && (known.is_same_object(key) || known.as_str() == key.as_str())
                {
                    return values.get(near);
                }
                let position = shape.find(key).ok()?;
                // A small map has fewer entries than a byte can count.
                guess.set(position as u8);
                values.get(position)
            }
            Node::Big(tree) => tree.get(key.as_str()),
        }
    }

    /// As [`get_near`](Self::get_near), to be changed; copies the node if it is shared.
    #[inline]
    pub fn get_mut_near(&mut self, key: &Text, guess: &std::cell::Cell<u8>) -> Option<&mut Value> {
        match Rc::make_mut(&mut self.0) {
            Node::Small { shape, values } => {
                let near = usize::from(guess.get());
                if let Some(known) = shape.keys.get(near)
                    && (known.is_same_object(key) || known.as_str() == key.as_str())
                {
                    return values.get_mut(near);
                }
                let position = shape.find(key).ok()?;
                // A small map has fewer entries than a byte can count.
                guess.set(position as u8);
                values.get_mut(position)
            }
            Node::Big(tree) => tree.get_mut(key.as_str()),
        }
    }

    /// The value at the guessed place of a small map, if the key is there as the same object.
    #[inline(always)]
    pub(crate) fn get_here(&self, key: &Text, guess: &std::cell::Cell<u8>) -> Option<&Value> {
        match &*self.0 {
            Node::Small { shape, values } => {
                let near = usize::from(guess.get());
                if shape.keys.get(near)?.is_same_object(key) {
                    values.get(near)
                } else {
                    None
                }
            }
            Node::Big(_) => None,
        }
    }

    /// The same, to be changed, if nobody else holds the map.
    #[inline(always)]
    pub(crate) fn own_here(
        &mut self,
        key: &Text,
        guess: &std::cell::Cell<u8>,
    ) -> Option<&mut Value> {
        match Rc::get_mut(&mut self.0)? {
            Node::Small { shape, values } => {
                let near = usize::from(guess.get());
                if shape.keys.get(near)?.is_same_object(key) {
                    values.get_mut(near)
                } else {
                    None
                }
            }
            Node::Big(_) => None,
        }
    }

    /// True if the map is held by others too.
    #[inline(always)]
    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    /// The value of a key, to be changed; copies the node if it is shared.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match Rc::make_mut(&mut self.0) {
            Node::Small { shape, values } => values.get_mut(shape.find(key).ok()?),
            Node::Big(tree) => tree.get_mut(key),
        }
    }

    /// True if the key is there.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, key: Text, value: Value) {
        let node = Rc::make_mut(&mut self.0);
        match node {
            Node::Small { shape, values } => match shape.find(&key) {
                Ok(position) => values[position] = value,
                Err(position) if values.len() < SMALL => {
                    match Rc::get_mut(shape) {
                        Some(own) => own.keys.insert(position, key),
                        None => {
                            let mut keys = Vec::with_capacity(shape.keys.len() + 1);
                            keys.extend_from_slice(&shape.keys[..position]);
                            keys.push(key);
                            keys.extend_from_slice(&shape.keys[position..]);
                            *shape = Shape::new(keys);
                        }
                    }
                    values.insert(position, value);
                }
                Err(_) => {
                    let mut tree: Tree = shape
                        .keys
                        .iter()
                        .cloned()
                        .zip(std::mem::take(values))
                        .collect();
                    tree.insert(key, value);
                    *node = Node::Big(tree);
                }
            },
            Node::Big(tree) => {
                tree.insert(key, value);
            }
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        if !self.contains(key) {
            return None;
        }
        match Rc::make_mut(&mut self.0) {
            Node::Small { shape, values } => {
                let position = shape.find(key).ok()?;
                let mut keys = shape.keys.clone();
                keys.remove(position);
                *shape = Shape::new(keys);
                Some(values.remove(position))
            }
            Node::Big(tree) => tree.remove(key),
        }
    }

    /// Adds all entries of another map; on equal keys `other` wins.
    pub fn extend(&mut self, other: &Map) {
        for (key, value) in other.iter() {
            self.insert(key.clone(), value.clone());
        }
    }

    /// The entries in key order.
    pub fn iter(&self) -> MapIter<'_> {
        match &*self.0 {
            Node::Small { shape, values } => MapIter::Small(shape.keys.iter().zip(values.iter())),
            Node::Big(tree) => MapIter::Big(Box::new(tree.iter())),
        }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in key order.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.iter().map(|(_, value)| value)
    }

    /// The key list of a small map.
    #[must_use]
    pub fn shape(&self) -> Option<&Rc<Shape>> {
        match &*self.0 {
            Node::Small { shape, .. } => Some(shape),
            Node::Big(_) => None,
        }
    }

    /// True if both are the same object.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// Entries of a map in key order.
pub enum MapIter<'a> {
    /// Of a small map.
    Small(std::iter::Zip<std::slice::Iter<'a, Text>, std::slice::Iter<'a, Value>>),
    /// Of a big map.
    Big(Box<imbl::ordmap::Iter<'a, Text, Value, RcK>>),
}

impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a Text, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            MapIter::Small(iter) => iter.next(),
            MapIter::Big(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            MapIter::Small(iter) => iter.size_hint(),
            MapIter::Big(iter) => iter.size_hint(),
        }
    }
}
