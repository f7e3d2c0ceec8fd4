//! As much of Python's pickles as a batch of CIFAR needs, of the protocols 2 to 5: dictionaries, lists, texts, whole numbers
//! and arrays of bytes. Nothing is run: what a pickle calls becomes the name of the call and its arguments. Format:
//! Python's `pickletools`.

use std::collections::HashMap;
use std::ops::Range;

/// What a pickle says, and why not where it cannot be read.
type Found<T> = Result<T, String>;

/// A value; those in it are places in [`Pickle::values`], so that one that is named twice is kept once.
enum Value {
    None,
    Integer(i64),
    /// Text or bytes, as a part of the file.
    Bytes(Range<usize>),
    /// A list or a tuple.
    List(Vec<usize>),
    Dictionary(Vec<(usize, usize)>),
    /// A function or class: its module and name.
    Global(Vec<u8>),
    /// What a function makes of arguments, and what is put into it afterwards.
    Call {
        function: usize,
        arguments: usize,
        state: Option<usize>,
    },
}

/// A pickle that has been read.
pub(super) struct Pickle<'a> {
    file: &'a [u8],
    values: Vec<Value>,
    /// The value that it is of.
    top: usize,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle.
    pub(super) fn read(file: &'a [u8]) -> Found<Pickle<'a>> {
        let mut machine = Machine {
            file,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let top = loop {
            if let Some(top) = machine.step()? {
                break top;
            }
        };
        Ok(Pickle { file, values: machine.values, top })
    }

    /// What a key of the dictionary stands for.
    fn get(&self, key: &str) -> Found<&Value> {
        let Value::Dictionary(entries) = &self.values[self.top] else {
            return Err("it is no dictionary".into());
        };
        let is_key = |&&(name, _): &&(usize, usize)| self.bytes(name) == Some(key.as_bytes());
        let (_, value) = entries.iter().find(is_key).ok_or_else(|| format!("it has no key {key:?}"))?;
        Ok(&self.values[*value])
    }

    fn bytes(&self, value: usize) -> Option<&'a [u8]> {
        match &self.values[value] {
            Value::Bytes(range) => Some(&self.file[range.clone()]),
            _ => None,
        }
    }

    fn integer(&self, value: usize) -> Option<i64> {
        match &self.values[value] {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn list(&self, value: usize) -> Option<&[usize]> {
        match &self.values[value] {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The whole numbers from 0 that a key stands for.
    pub(super) fn integers(&self, key: &str) -> Found<Vec<u32>> {
        let Value::List(items) = self.get(key)? else { return Err(format!("{key:?} is no list")) };
        let number = |&item: &usize| u32::try_from(self.integer(item)?).ok();
        items
            .iter()
            .map(number)
            .collect::<Option<_>>()
            .ok_or_else(|| format!("{key:?} holds no whole numbers"))
    }

    /// The texts that a key stands for.
    pub(super) fn texts(&self, key: &str) -> Found<Vec<String>> {
        let Value::List(items) = self.get(key)? else { return Err(format!("{key:?} is no list")) };
        let text = |&item: &usize| String::from_utf8(self.bytes(item)?.to_vec()).ok();
        items.iter().map(text).collect::<Option<_>>().ok_or_else(|| format!("{key:?} holds no texts"))
    }

    /// The array of bytes that a key stands for: its shape and its numbers, row by row.
    ///
    /// NumPy makes an empty array and then puts this into it: version, shape, type, whether it lies column by column, and
    /// the numbers.
    pub(super) fn bytes_array(&self, key: &str) -> Found<(Vec<usize>, &'a [u8])> {
        let read = || {
            let Value::Call { function, state, .. } = self.get(key).ok()? else { return None };
            let Value::Global(name) = &self.values[*function] else { return None };
            let &[_, shape, kind, by_columns, numbers] = self.list((*state)?)? else { return None };
            let Value::Call { arguments, .. } = &self.values[kind] else { return None };
            let kind = self.bytes(*self.list(*arguments)?.first()?)?;
            let is_plain = name.ends_with(b"multiarray\n_reconstruct")
                && kind == b"u1"
                && self.integer(by_columns) == Some(0);
            let size = |&size: &usize| usize::try_from(self.integer(size)?).ok();
            let shape = self.list(shape)?.iter().map(size).collect::<Option<Vec<usize>>>()?;
            is_plain.then_some((shape, self.bytes(numbers)?))
        };
        self.get(key)?;
        read().ok_or_else(|| format!("{key:?} is no array of bytes in row-major order"))
    }
}

/// Reads a pickle, which is a program for a machine with a stack.
struct Machine<'a> {
    file: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<usize>,
    /// Heights of the stack from where lists and tuples are made.
    marks: Vec<usize>,
    /// Values by the number under which they are called again.
    memo: HashMap<u32, usize>,
}

impl<'a> Machine<'a> {
    /// Takes one instruction; the last gives the value that the pickle is of.
    fn step(&mut self) -> Found<Option<usize>> {
        let code = self.byte()?;
        match code {
            0x80 => drop(self.byte()?),
            // A frame says how much of the file belongs together.
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            b'K' | b'M' | b'J' | 0x88 | 0x89 => {
                let number = self.number(code)?;
                self.push(Value::Integer(number));
            }
            b'U' | 0x8c | b'C' => self.push_bytes(1)?,
            b'T' | b'X' | b'B' => self.push_bytes(4)?,
            0x8d | 0x8e => self.push_bytes(8)?,
            b']' | b')' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items));
            }
            0x85..=0x87 => {
                let items = self.pop_last(usize::from(code - 0x84))?;
                self.push(Value::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | b'u' => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let entry = self.pop_last(2)?;
                self.extend(entry)?;
            }
            b'q' | b'r' | 0x94 => {
                let place = self.place(code)?;
                let top = *self.stack.last().ok_or("its stack is empty")?;
                self.memo.insert(place, top);
            }
            b'h' | b'j' => {
                let place = self.place(code)?;
                self.stack.push(*self.memo.get(&place).ok_or("it calls what it has not named")?);
            }
            b'c' => {
                let name = [self.line()?, b"\n", self.line()?].concat();
                self.push(Value::Global(name));
            }
            0x93 => {
                let names = self.pop_last(2)?;
                let [module, name] = [names[0], names[1]].map(|name| match &self.values[name] {
                    Value::Bytes(range) => &self.file[range.clone()],
                    _ => b"",
                });
                let name = [module, b"\n", name].concat();
                self.push(Value::Global(name));
            }
            b'R' => {
                let call = self.pop_last(2)?;
                self.push(Value::Call { function: call[0], arguments: call[1], state: None });
            }
            b'b' => {
                let state = self.pop()?;
                let top = *self.stack.last().ok_or("its stack is empty")?;
                match &mut self.values[top] {
                    Value::Call { state: place, .. } => *place = Some(state),
                    _ => return Err("it puts something into what was not made".into()),
                }
            }
            other => return Err(format!("it holds the instruction {other:#04x}, which no batch needs")),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Found<&'a [u8]> {
        let taken = self.file[self.at..].get(..count).ok_or("it is cut short")?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Found<u8> {
        Ok(self.take(1)?[0])
    }

    fn line(&mut self) -> Found<&'a [u8]> {
        let rest = &self.file[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("it is cut short")?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    /// An unsigned number of so many bytes, the lowest first.
    fn unsigned(&mut self, bytes: usize) -> Found<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn number(&mut self, code: u8) -> Found<i64> {
        Ok(match code {
            b'K' => self.unsigned(1)? as i64,
            b'M' => self.unsigned(2)? as i64,
            b'J' => i64::from(self.unsigned(4)? as u32 as i32),
            // True and false.
            _ => i64::from(code == 0x88),
        })
    }

    /// Under which number a value is called again.
    fn place(&mut self, code: u8) -> Found<u32> {
        match code {
            0x94 => Ok(self.memo.len() as u32),
            b'q' | b'h' => Ok(self.unsigned(1)? as u32),
            _ => Ok(self.unsigned(4)? as u32),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// Text or bytes, whose length stands before them in so many bytes.
    fn push_bytes(&mut self, bytes: usize) -> Found<()> {
        let length = self.unsigned(bytes)?;
        let start = self.at;
        self.take(usize::try_from(length).map_err(|_| "it is cut short")?)?;
        self.push(Value::Bytes(start..self.at));
        Ok(())
    }

    fn pop(&mut self) -> Found<usize> {
        Ok(self.pop_last(1)?[0])
    }

    /// The last values of the stack, of which none lies below the last mark.
    fn pop_last(&mut self, count: usize) -> Found<Vec<usize>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|&start| start >= floor);
        Ok(self.stack.split_off(start.ok_or("its stack is empty")?))
    }

    fn pop_to_mark(&mut self) -> Found<Vec<usize>> {
        let mark = self.marks.pop().ok_or("it has no mark where one belongs")?;
        Ok(self.stack.split_off(mark))
    }

    /// Adds to the list or dictionary on top of the stack.
    fn extend(&mut self, items: Vec<usize>) -> Found<()> {
        let top = *self.stack.last().ok_or("its stack is empty")?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            Value::Dictionary(entries) if items.len().is_multiple_of(2) => {
                entries.extend(items.chunks_exact(2).map(|entry| (entry[0], entry[1])))
            }
            _ => return Err("it adds to what is no list".into()),
        }
        Ok(())
    }
}
