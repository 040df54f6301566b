import CoAP
import Foundation
import TestSupport
import Testing
import Wire

/// The Python with aiocoap in it, which tools/test names.
private let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

/// Runs a script and returns its output. `input` is read by the script before it writes.
private func run(_ script: String, _ arguments: [String] = [], input: String = "") throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: try #require(python))
  process.arguments = ["-c", script] + arguments
  let (stdin, stdout) = (Pipe(), Pipe())
  process.standardInput = stdin
  process.standardOutput = stdout
  try process.run()
  try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
  try stdin.fileHandleForWriting.close()
  let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0)
  return String(decoding: output, as: UTF8.self)
}

/// One message in words that both sides can write.
private func describe(_ message: CoAPMessage) -> String {
  let options = message.options.map { "\($0.number.rawValue)=\($0.value.hex)" }.joined(separator: ",")
  return
    "\(message.type) \(message.code.rawValue) \(message.messageID) [\(message.token)] [\(options)] [\(message.payload.hex)]"
}

private let describeInPython = """
  import random, sys
  from aiocoap import Message
  from aiocoap.message import Direction
  from aiocoap.optiontypes import BlockOption

  def describe(m):
      options = ",".join(f"{int(o.number)}={o.encode().hex()}" for o in m.opt.option_list())
      return f"{m.mtype.name} {int(m.code)} {m.mid} [{m.token.hex()}] [{options}] [{m.payload.hex()}]"


  """

@Suite(.enabled(if: python != nil, "PANGATE_PYTHON is not set; tools/test sets it"))
struct AiocoapTests {
  /// A message of values that its options may have: aiocoap reads and writes by format.
  private func message(_ generator: inout SeededGenerator) -> CoAPMessage {
    var message = generator.message()
    guard !message.code.isEmpty else { return message }
    message.options = []
    for _ in 0..<generator.below(10) {
      if generator.oneIn(5) {
        let number = UInt16.random(in: 1000 ... .max, using: &generator)
        message.options.append(CoAPOption(CoAPOptionNumber(rawValue: number), generator.bytes(in: 0...300)))
        continue
      }
      let number = CoAPOptionNumber.known[generator.below(CoAPOptionNumber.known.count)]
      guard let definition = number.definition else { continue }
      let count = Int.random(in: definition.lengths, using: &generator)
      switch definition.format {
      case .empty: message.options.append(CoAPOption(number))
      case .opaque: message.options.append(CoAPOption(number, generator.bytes(count)))
      case .string:
        let letters = (0..<count).map { _ in UInt8(97 + generator.below(26)) }
        message.options.append(CoAPOption(number, letters))
      case .uint:
        let value = UInt64.random(in: 0..<(1 << UInt64(count * 8)), using: &generator)
        message.options.append(CoAPOption(number, uint: value))
      }
    }
    return message
  }

  @Test("aiocoap reads what is written here, and writes the same bytes") func decodedByAiocoap() throws {
    var generator = SeededGenerator(seed: 9175)
    let messages = (0..<500).map { _ in message(&generator) }
    let wire = try messages.map { try $0.encoded().hex }
    let script =
      describeInPython + """
        for line in sys.stdin.read().split():
            m = Message.decode(bytes.fromhex(line))
            text = describe(m)
            m.direction = Direction.OUTGOING
            print(m.encode().hex(), text)
        """
    let lines = try run(script, input: wire.joined(separator: "\n")).split(separator: "\n").map(String.init)
    try #require(lines.count == messages.count)
    for (index, line) in lines.enumerated() {
      #expect(line == "\(wire[index]) \(describe(messages[index]))")
    }
  }

  @Test("What aiocoap writes is read here, and written the same") func encodedByAiocoap() throws {
    let script =
      describeInPython + """
        random.seed(7959)
        text = lambda: "".join(random.choice("abcäöü/ %") for _ in range(random.randrange(30)))
        for _ in range(500):
            m = Message(code=random.choice([1, 2, 3, 4, 5, 6, 7, 65, 68, 69, 95, 128, 136, 141, 157, 163]))
            m.direction = Direction.OUTGOING
            m.mtype = random.randrange(4)
            from aiocoap.numbers.types import Type
            m.mtype = Type(m.mtype)
            m.mid = random.randrange(65536)
            m.token = random.randbytes(random.randrange(9))
            m.payload = random.randbytes(random.randrange(50))
            maybe = lambda: random.random() < 0.3
            if maybe(): m.opt.uri_path = [text() for _ in range(random.randrange(5))]
            if maybe(): m.opt.uri_query = [text() for _ in range(random.randrange(5))]
            if maybe(): m.opt.location_path = [text()]
            if maybe(): m.opt.etag = random.randbytes(random.randrange(1, 9))
            if maybe(): m.opt.observe = random.randrange(1 << 24)
            if maybe(): m.opt.content_format = random.randrange(65536)
            if maybe(): m.opt.accept = random.randrange(300)
            if maybe(): m.opt.block1 = BlockOption.BlockwiseTuple(random.randrange(1 << 20), maybe(), random.randrange(7))
            if maybe(): m.opt.block2 = BlockOption.BlockwiseTuple(random.randrange(300), maybe(), random.randrange(7))
            if maybe(): m.opt.size1 = random.randrange(1 << 32)
            if maybe(): m.opt.max_age = random.randrange(1 << 32)
            if maybe(): m.opt.request_tag = [random.randbytes(random.randrange(9))]
            if maybe(): m.opt.proxy_uri = "coap://" + text() * 20
            print(m.encode().hex(), describe(m))
        """
    let lines = try run(script).split(separator: "\n").map(String.init)
    #expect(lines.count == 500)
    for line in lines {
      let hex = line.prefix { $0 != " " }
      let message = try CoAPMessage(parsing: bytes(String(hex)))
      #expect("\(hex) \(describe(message))" == line)
      #expect(try message.encoded().hex == hex)
      #expect(throws: Never.self) { try message.options.recognized(Set(CoAPOptionNumber.known)) }
    }
  }
}
