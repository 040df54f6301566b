import Wire

/// Events in the order of their times; those of one time in the order in which they were put in. A binary heap.
struct EventQueue<Event> {
  private struct Entry {
    var time: Instant
    var order: UInt64
    var event: Event

    static func < (left: Entry, right: Entry) -> Bool {
      left.time == right.time ? left.order < right.order : left.time < right.time
    }
  }

  private var entries: [Entry] = []
  private var order: UInt64 = 0

  var count: Int { entries.count }

  mutating func push(_ event: Event, at time: Instant) {
    order += 1
    entries.append(Entry(time: time, order: order, event: event))
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child] < entries[parent] else { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> (time: Instant, event: Event)? {
    guard !entries.isEmpty else { return nil }
    entries.swapAt(0, entries.count - 1)
    let first = entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child] < entries[least] {
        least = child
      }
      guard least != parent else { break }
      entries.swapAt(parent, least)
      parent = least
    }
    return (first.time, first.event)
  }
}
