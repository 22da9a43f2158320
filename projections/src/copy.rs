//! Rows in the binary form of `COPY … FROM STDIN`, for tables that are filled at once.

use subscription::CopyIn;
use uuid::Uuid;

/// A row that can be copied into its table.
pub(crate) trait CopyRow {
    /// The columns, in the order of [`Self::fields`].
    const COLUMNS: &'static [&'static str];

    /// Adds a field for each column.
    fn fields(&self, row: &mut Fields<'_>);
}

/// About how many bytes are sent at once.
const CHUNK: usize = 64 << 10;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// All `rows` of a table.
pub(crate) fn copy_in<R: CopyRow>(
    table: &'static str,
    rows: impl IntoIterator<Item = R, IntoIter: Send + 'static>,
) -> CopyIn {
    let mut rows = rows.into_iter();
    let width = i16::try_from(R::COLUMNS.len()).expect("tables have few columns");
    let chunks = std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
        while chunk.len() < CHUNK
            && let Some(row) = rows.next()
        {
            chunk.extend(width.to_be_bytes());
            row.fields(&mut Fields(&mut chunk));
        }
        (!chunk.is_empty()).then_some(chunk)
    });
    CopyIn {
        table,
        columns: R::COLUMNS,
        chunks: Box::new(
            std::iter::once(HEADER.to_vec())
                .chain(chunks)
                .chain(std::iter::once(TRAILER.to_vec())),
        ),
    }
}

/// The fields of one row, as they are added.
pub(crate) struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    /// Adds the next field.
    pub(crate) fn add(&mut self, field: impl Field) -> &mut Self {
        let start = self.0.len();
        self.0.extend([0; 4]);
        let length = if field.write(self.0) {
            let length = self.0.len() - start - 4;
            i32::try_from(length).expect("fields are far below 2 GiB")
        } else {
            -1
        };
        self.0[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self
    }
}

/// A value as Postgres receives it.
pub(crate) trait Field: Sized {
    /// Writes it; `false` for NULL.
    fn write(self, out: &mut Vec<u8>) -> bool;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl Field for $number {
            fn write(self, out: &mut Vec<u8>) -> bool {
                out.extend(self.to_be_bytes());
                true
            }
        })+
    };
}

numbers!(i16, i32, i64);

impl Field for bool {
    fn write(self, out: &mut Vec<u8>) -> bool {
        out.push(self.into());
        true
    }
}

impl Field for Uuid {
    fn write(self, out: &mut Vec<u8>) -> bool {
        out.extend(self.as_bytes());
        true
    }
}

impl Field for &[u8] {
    fn write(self, out: &mut Vec<u8>) -> bool {
        out.extend(self);
        true
    }
}

impl Field for &str {
    fn write(self, out: &mut Vec<u8>) -> bool {
        self.as_bytes().write(out)
    }
}

impl<F: Field> Field for Option<F> {
    fn write(self, out: &mut Vec<u8>) -> bool {
        self.is_some_and(|field| field.write(out))
    }
}

/// A value that can stand in an array: the number of its type in Postgres.
pub(crate) trait Element: Field {
    const TYPE: u32;
}

impl Element for i16 {
    const TYPE: u32 = 21;
}

impl Element for &str {
    const TYPE: u32 = 25;
}

/// An array of one dimension; of none, if it is empty.
impl<E: Element> Field for Vec<E> {
    fn write(self, out: &mut Vec<u8>) -> bool {
        let length = i32::try_from(self.len()).expect("arrays are short");
        out.extend(i32::from(length > 0).to_be_bytes());
        out.extend(0_i32.to_be_bytes()); // no element is NULL
        out.extend(E::TYPE.to_be_bytes());
        if length > 0 {
            out.extend(length.to_be_bytes());
            out.extend(1_i32.to_be_bytes()); // the first index
        }
        for element in self {
            let start = out.len();
            out.extend([0; 4]);
            element.write(out);
            let length = i32::try_from(out.len() - start - 4).expect("elements are short");
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        true
    }
}
