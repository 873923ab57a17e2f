//! A set of bytes, and the named sets of RE2: `\d`, `[[:alpha:]]`, `\p{Lu}`.
//!
//! The `regex` crate knows the same names, but means Unicode characters by
//! them. Envoy runs RE2 in its Latin-1 mode, where every byte is one character
//! and `\p{Lu}` is the set of those of the 256 that are upper-case letters. The
//! translator therefore never hands a name over: it works out the set here and
//! writes the bytes. Names and members follow RE2's syntax page
//! (<https://github.com/google/re2/wiki/Syntax>).

use std::fmt::Write;

/// A set of bytes, one bit for each of the 256.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ByteSet {
    low: u128,
    high: u128,
}

impl ByteSet {
    /// The bytes for which `predicate` holds.
    pub(super) fn of(predicate: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        for byte in (0..=u8::MAX).filter(|byte| predicate(*byte)) {
            if byte < 128 {
                set.low |= 1 << byte;
            } else {
                set.high |= 1 << (byte - 128);
            }
        }
        set
    }

    /// The bytes inside any of the inclusive `ranges`.
    fn of_ranges(ranges: &[(u8, u8)]) -> Self {
        Self::of(|byte| {
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&byte))
        })
    }

    /// The bytes from `first` to `last`, both included.
    pub(super) fn range(first: u8, last: u8) -> Self {
        Self::of_ranges(&[(first, last)])
    }

    pub(super) fn contains(self, byte: u8) -> bool {
        if byte < 128 {
            self.low >> byte & 1 == 1
        } else {
            self.high >> (byte - 128) & 1 == 1
        }
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            low: self.low | other.low,
            high: self.high | other.high,
        }
    }

    pub(super) fn complement(self) -> Self {
        Self {
            low: !self.low,
            high: !self.high,
        }
    }

    /// Adds the other case of every ASCII letter in the set. In its Latin-1
    /// mode RE2 folds no other letter: `(?i)\xe9` does not match `\xc9`.
    pub(super) fn ignoring_case(self) -> Self {
        Self::of(|byte| {
            self.contains(byte.to_ascii_lowercase()) || self.contains(byte.to_ascii_uppercase())
        })
    }

    /// Writes the set in the syntax of the `regex` crate.
    pub(super) fn write(self, output: &mut String) {
        let mut bytes = (0..=u8::MAX).filter(|byte| self.contains(*byte)).peekable();
        if bytes.peek().is_none() {
            // The crate has no `[]`; everything left out is its way to say "nothing".
            output.push_str(r"[^\x00-\xFF]");
            return;
        }
        output.push('[');
        while let Some(first) = bytes.next() {
            let mut last = first;
            while let Some(next) = bytes.next_if(|next| last.checked_add(1) == Some(*next)) {
                last = next;
            }
            // Writing to a `String` cannot fail.
            let _ = write!(output, r"\x{first:02X}-\x{last:02X}");
        }
        output.push(']');
    }
}

/// The set that `\d`, `\s` or `\w` stands for, or its complement for the
/// capital letter; nothing for any other letter.
pub(super) fn perl_class(letter: u8) -> Option<ByteSet> {
    let set = match letter.to_ascii_lowercase() {
        b'd' => ByteSet::of(|byte| byte.is_ascii_digit()),
        // Unlike `[[:space:]]`, `\s` leaves the vertical tab out.
        b's' => ByteSet::of(|byte| byte.is_ascii_whitespace()),
        b'w' => ByteSet::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() {
        set.complement()
    } else {
        set
    })
}

/// The set that `[:name:]` stands for inside a class.
pub(super) fn posix_class(name: &[u8]) -> Option<ByteSet> {
    Some(match name {
        b"alnum" => ByteSet::of(|byte| byte.is_ascii_alphanumeric()),
        b"alpha" => ByteSet::of(|byte| byte.is_ascii_alphabetic()),
        b"ascii" => ByteSet::of(|byte| byte.is_ascii()),
        b"blank" => ByteSet::of(|byte| matches!(byte, b'\t' | b' ')),
        b"cntrl" => ByteSet::of(|byte| byte.is_ascii_control()),
        b"digit" => ByteSet::of(|byte| byte.is_ascii_digit()),
        b"graph" => ByteSet::of(|byte| byte.is_ascii_graphic()),
        b"lower" => ByteSet::of(|byte| byte.is_ascii_lowercase()),
        b"print" => ByteSet::of(|byte| byte.is_ascii_graphic() || byte == b' '),
        b"punct" => ByteSet::of(|byte| byte.is_ascii_punctuation()),
        b"space" => ByteSet::of(|byte| byte.is_ascii_whitespace() || byte == b'\x0b'),
        b"upper" => ByteSet::of(|byte| byte.is_ascii_uppercase()),
        b"word" => ByteSet::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        b"xdigit" => ByteSet::of(|byte| byte.is_ascii_hexdigit()),
        _ => return None,
    })
}

/// The Latin-1 bytes of a Unicode general category or script, by the names RE2
/// takes: the short name of a category, the long name of a script, spelled with
/// exactly these capitals.
pub(super) fn unicode_class(name: &[u8]) -> Option<ByteSet> {
    let ranges: &[(u8, u8)] = match name {
        b"Any" => &[(0x00, 0xFF)],
        b"C" => &[(0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD)],
        b"Cc" => &[(0x00, 0x1F), (0x7F, 0x9F)],
        b"Cf" => &[(0xAD, 0xAD)],
        b"L" => &[
            (b'A', b'Z'),
            (b'a', b'z'),
            (0xAA, 0xAA),
            (0xB5, 0xB5),
            (0xBA, 0xBA),
            (0xC0, 0xD6),
            (0xD8, 0xF6),
            (0xF8, 0xFF),
        ],
        b"Ll" => &[(b'a', b'z'), (0xB5, 0xB5), (0xDF, 0xF6), (0xF8, 0xFF)],
        b"Lo" => &[(0xAA, 0xAA), (0xBA, 0xBA)],
        b"Lu" => &[(b'A', b'Z'), (0xC0, 0xD6), (0xD8, 0xDE)],
        b"N" => &[(b'0', b'9'), (0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)],
        b"Nd" => &[(b'0', b'9')],
        b"No" => &[(0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)],
        b"P" => return Some(union_of(&[b"Pc", b"Pd", b"Pe", b"Pf", b"Pi", b"Po", b"Ps"])),
        b"Pc" => &[(b'_', b'_')],
        b"Pd" => &[(b'-', b'-')],
        b"Pe" => &[(b')', b')'), (b']', b']'), (b'}', b'}')],
        b"Pf" => &[(0xBB, 0xBB)],
        b"Pi" => &[(0xAB, 0xAB)],
        b"Po" => &[
            (b'!', b'#'),
            (b'%', b'\''),
            (b'*', b'*'),
            (b',', b','),
            (b'.', b'/'),
            (b':', b';'),
            (b'?', b'@'),
            (b'\\', b'\\'),
            (0xA1, 0xA1),
            (0xA7, 0xA7),
            (0xB6, 0xB7),
            (0xBF, 0xBF),
        ],
        b"Ps" => &[(b'(', b'('), (b'[', b'['), (b'{', b'{')],
        b"S" => return Some(union_of(&[b"Sc", b"Sk", b"Sm", b"So"])),
        b"Sc" => &[(b'$', b'$'), (0xA2, 0xA5)],
        b"Sk" => &[
            (b'^', b'^'),
            (b'`', b'`'),
            (0xA8, 0xA8),
            (0xAF, 0xAF),
            (0xB4, 0xB4),
            (0xB8, 0xB8),
        ],
        b"Sm" => &[
            (b'+', b'+'),
            (b'<', b'>'),
            (b'|', b'|'),
            (b'~', b'~'),
            (0xAC, 0xAC),
            (0xB1, 0xB1),
            (0xD7, 0xD7),
            (0xF7, 0xF7),
        ],
        b"So" => &[(0xA6, 0xA6), (0xA9, 0xA9), (0xAE, 0xAE), (0xB0, 0xB0)],
        b"Z" | b"Zs" => &[(b' ', b' '), (0xA0, 0xA0)],
        b"Common" => {
            // Every byte that is a letter of the Latin script, turned round; the
            // micro sign is a letter that belongs to no single script.
            return unicode_class(b"Latin").map(ByteSet::complement);
        }
        b"Latin" => &[
            (b'A', b'Z'),
            (b'a', b'z'),
            (0xAA, 0xAA),
            (0xBA, 0xBA),
            (0xC0, 0xD6),
            (0xD8, 0xF6),
            (0xF8, 0xFF),
        ],
        _ if NAMES_WITHOUT_A_BYTE
            .split_ascii_whitespace()
            .any(|known| known.as_bytes() == name) =>
        {
            &[]
        }
        _ => return None,
    };
    Some(ByteSet::of_ranges(ranges))
}

fn union_of(names: &[&[u8]]) -> ByteSet {
    names
        .iter()
        .filter_map(|name| unicode_class(name))
        .fold(ByteSet::default(), ByteSet::union)
}

/// Categories and scripts that RE2 knows and that no byte belongs to. They are
/// valid, and matter in `\P{Greek}`, which is any byte.
const NAMES_WITHOUT_A_BYTE: &str = "\
    Co Cs Lm Lt M Mc Me Mn Nl Zl Zp Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan \
    Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid \
    Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Coptic \
    Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan \
    Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek \
    Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew \
    Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian \
    Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer \
    Khojki Khudawadi Lao Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar \
    Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek \
    Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani \
    Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu \
    Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian \
    Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage \
    Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang \
    Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian \
    Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham \
    Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto \
    Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";
