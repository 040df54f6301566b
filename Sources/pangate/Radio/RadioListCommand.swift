import ArgumentParser
import Radio

/// `pangate radio list`.
struct RadioListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show the 802.15.4 interfaces and the USB dongles that may be radios.",
    discussion: """
      Reads /sys and /dev and opens nothing. The first column is what to write as
      the radio's URL in the configuration or on the command line; '-' is for what
      cannot be used as it is. Whether a dongle answers, 'radio probe' finds out.

      EXAMPLES
        pangate radio list
        pangate radio list --json | jq -r .url

      \(Exit.help)
      """)

  @Flag(help: "Print one JSON object for each, a line each.")
  var json = false

  @Option(help: ArgumentHelp("Where /sys and /dev are.", valueName: "path", visibility: .hidden))
  var root = "/"

  func run() throws {
    let entries = RadioList(root: root).entries()
    if json {
      for entry in entries { print(JSONOutput.line(RadioListRow(entry))) }
    } else if entries.isEmpty {
      note("No 802.15.4 interface and no serial port on USB was found.")
    } else {
      var table = TextTable(["url", "device", "state", "address or USB", "what"])
      for entry in entries { table.add(RadioListRow(entry).cells) }
      print(table.text)
    }
  }
}

/// What is printed of one. Its properties are the keys of the JSON.
struct RadioListRow: Encodable {
  struct USB: Encodable {
    var id: String
    var manufacturer: String?
    var product: String?
    var serial: String?
  }

  var kind: String
  var device: String
  var url: String?
  var state: String?
  var address: String?
  var usb: USB?
  var known: Bool
  var what: String

  init(_ entry: RadioListEntry) {
    kind = entry.kind.rawValue
    device = entry.name
    url = entry.url
    state = entry.state
    address = entry.address
    usb = entry.usb.map { usb in
      USB(id: usb.id, manufacturer: usb.manufacturerName, product: usb.productName, serial: usb.serial)
    }
    known = entry.isKnown
    what = entry.what
  }

  var cells: [String] {
    // What the device calls itself stands behind what is known of it.
    let names = [usb?.manufacturer, usb?.product].compactMap { $0 }.joined(separator: " ")
    return [
      url ?? "-", device, state ?? "-", address ?? usb?.id ?? "-", names.isEmpty ? what : "\(what) (\(names))",
    ].map(Printable.line)
  }
}
