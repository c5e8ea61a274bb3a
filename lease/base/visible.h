// IsVisible: whether a character shows itself in a line for people.
//
// Control characters do not; nor do characters that nobody sees, such as a zero
// width space, nor those that change how their neighbours are shown, such as an
// override of the direction of writing: with these, one name looks like
// another, and a line as if it said something else. Whoever writes a caller's
// text into a line escapes them.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_VISIBLE_H_
#define LEASEHOLD_LEASE_BASE_VISIBLE_H_

#include <cstdint>

namespace leasehold {

// `code`: a code point of Unicode (those of version 14 are known). Not visible
// are the control and format characters, the separators of lines and
// paragraphs, and whatever else may be ignored when text is shown.
bool IsVisible(uint32_t code);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_VISIBLE_H_
