-- Wireshark and tshark: the tutorials' formats of udpcore, and its transport.
--
--   tshark -X lua_script:udpcore.lua -d udp.port==9999,udpcore_ack ...
--
-- The transport is found by itself (its handshake names its version). Frames are shown of plaintext
-- connections; of encrypted ones, what is readable without the keys. docs/protocol.md is the
-- specification. The tutorials' formats say nothing about themselves: choose them with "Decode As",
-- udpcore_seq, udpcore_ack or udpcore_fec.

local function field(kind, name, title, ...)
  return ProtoField[kind](name, title, ...)
end

-- The tutorials' formats -------------------------------------------------------------------------

local seq = Proto("udpcore_seq", "udpcore sequence numbers")
seq.fields.number = field("uint32", "udpcore_seq.number", "Sequence number")
seq.fields.text = field("string", "udpcore_seq.text", "Text")

function seq.dissector(buffer, pinfo, tree)
  if buffer:len() < 4 then return 0 end
  pinfo.cols.protocol = "UDPCORE-SEQ"
  local branch = tree:add(seq, buffer())
  branch:add(seq.fields.number, buffer(0, 4))
  if buffer:len() > 4 then branch:add(seq.fields.text, buffer(4)) end
  pinfo.cols.info = "Seq " .. buffer(0, 4):uint()
  return buffer:len()
end

local ack = Proto("udpcore_ack", "udpcore acknowledged messages")
local ack_types = { [1] = "DATA", [2] = "ACK" }
ack.fields.type = field("uint8", "udpcore_ack.type", "Type", base.DEC, ack_types)
ack.fields.number = field("uint32", "udpcore_ack.number", "Sequence number")
ack.fields.data = field("bytes", "udpcore_ack.data", "Data")

function ack.dissector(buffer, pinfo, tree)
  if buffer:len() < 5 or not ack_types[buffer(0, 1):uint()] then return 0 end
  pinfo.cols.protocol = "UDPCORE-ACK"
  local branch = tree:add(ack, buffer())
  branch:add(ack.fields.type, buffer(0, 1))
  branch:add(ack.fields.number, buffer(1, 4))
  if buffer:len() > 5 then branch:add(ack.fields.data, buffer(5)) end
  pinfo.cols.info = ack_types[buffer(0, 1):uint()] .. " " .. buffer(1, 4):uint()
  return buffer:len()
end

local fec = Proto("udpcore_fec", "udpcore forward error correction")
fec.fields.index = field("uint16", "udpcore_fec.index", "Chunk index")
fec.fields.k = field("uint16", "udpcore_fec.k", "Source chunks")
fec.fields.chunk = field("bytes", "udpcore_fec.chunk", "Source chunk")
fec.fields.version = field("uint8", "udpcore_fec.version", "Version")
fec.fields.m = field("uint16", "udpcore_fec.m", "Repair chunks")
fec.fields.length = field("uint32", "udpcore_fec.length", "Length of the data")
fec.fields.crc32 = field("uint32", "udpcore_fec.crc32", "CRC-32 of the data", base.HEX)
fec.fields.repair = field("bytes", "udpcore_fec.repair", "Repair chunk")

function fec.dissector(buffer, pinfo, tree)
  if buffer:len() < 4 then return 0 end
  local index, k = buffer(0, 2):uint(), buffer(2, 2):uint()
  pinfo.cols.protocol = "UDPCORE-FEC"
  local branch = tree:add(fec, buffer())
  branch:add(fec.fields.index, buffer(0, 2))
  branch:add(fec.fields.k, buffer(2, 2))
  if index < k then
    if buffer:len() > 4 then branch:add(fec.fields.chunk, buffer(4)) end
    pinfo.cols.info = "Source " .. index .. " of " .. k
  elseif buffer:len() >= 15 then
    branch:add(fec.fields.version, buffer(4, 1))
    branch:add(fec.fields.m, buffer(5, 2))
    branch:add(fec.fields.length, buffer(7, 4))
    branch:add(fec.fields.crc32, buffer(11, 4))
    if buffer:len() > 15 then branch:add(fec.fields.repair, buffer(15)) end
    pinfo.cols.info = "Repair " .. (index - k) .. " for " .. k
  end
  return buffer:len()
end

-- The transport ----------------------------------------------------------------------------------

local udpcore = Proto("udpcore", "udpcore transport")
local VERSION = 0x75647001
local kinds = { [0] = "INIT", [1] = "RETRY", [2] = "ACCEPT" }
local suites = {
  [0] = "plaintext", [1] = "Noise NN", [2] = "Noise NNpsk0", [3] = "Noise NK", [4] = "Noise NKpsk0",
}
local modes = { [0] = "ordered", [1] = "unordered", [2] = "sequenced", [3] = "unreliable" }
local frame_types = {
  [0x00] = "PADDING", [0x01] = "PING", [0x02] = "ACK", [0x03] = "ACK with ECN", [0x04] = "SKIP",
  [0x05] = "MAX_DATA", [0x06] = "MAX_CHANNEL", [0x07] = "REPAIR",
  [0x08] = "IMMEDIATE_ACK", [0x09] = "PATH_CHALLENGE",
  [0x0a] = "PATH_RESPONSE", [0x0b] = "NEW_CID", [0x0c] = "RETIRE_CID", [0x0d] = "ACK_FREQUENCY",
  [0x0e] = "CLOSE", [0x0f] = "TIMESTAMP", [0x10] = "BLOCKED", [0x80] = "MSG",
}

local f = udpcore.fields
f.kind = field("uint8", "udpcore.kind", "Kind", base.DEC, kinds, 0x30)
f.version = field("uint32", "udpcore.version", "Version", base.HEX)
f.dcid = field("bytes", "udpcore.dcid", "Destination connection id")
f.scid = field("bytes", "udpcore.scid", "Source connection id")
f.token = field("bytes", "udpcore.token", "Token")
f.suite = field("uint8", "udpcore.suite", "Suite", base.DEC, suites)
f.handshake = field("bytes", "udpcore.handshake", "Handshake message")
f.key_phase = field("uint8", "udpcore.key_phase", "Key phase", base.DEC, nil, 0x04)
f.number = field("uint32", "udpcore.number", "Packet number (truncated)")
f.checksum = field("uint32", "udpcore.checksum", "CRC32C", base.HEX)
f.protected = field("bytes", "udpcore.protected", "Protected payload")
f.frame = field("uint8", "udpcore.frame", "Frame", base.HEX, frame_types)
f.channel = field("uint64", "udpcore.channel", "Channel")
f.mode = field("uint8", "udpcore.mode", "Mode", base.DEC, modes)
f.message = field("uint64", "udpcore.message", "Message id")
f.total = field("uint64", "udpcore.total", "Message length")
f.offset = field("uint64", "udpcore.offset", "Offset")
f.deadline = field("uint64", "udpcore.deadline", "Deadline (us of the sender's clock)")
f.data = field("bytes", "udpcore.data", "Data")
f.largest = field("uint64", "udpcore.largest", "Largest acknowledged")
f.value = field("uint64", "udpcore.value", "Value")
f.reason = field("string", "udpcore.reason", "Reason")

-- Which connections are plaintext: conversation key -> true.
local plaintext = {}

local function key_of(pinfo)
  local a = tostring(pinfo.src) .. ":" .. pinfo.src_port
  local b = tostring(pinfo.dst) .. ":" .. pinfo.dst_port
  return a < b and a .. b or b .. a
end

-- A reader that raises nothing: `ok` turns false where the bytes end.
local Reader = {}
Reader.__index = Reader

function Reader:varint()
  if self.at >= self.stop then self.ok = false return UInt64(0), nil end
  local len = 2 ^ bit.rshift(self.buffer(self.at, 1):uint(), 6)
  if self.at + len > self.stop then self.ok = false return UInt64(0), nil end
  local range = self.buffer(self.at, len)
  local mask = { [1] = UInt64(0x3f), [2] = UInt64(0x3fff), [4] = UInt64(0x3fffffff),
    [8] = UInt64(0xffffffff, 0x3fffffff) }
  self.at = self.at + len
  return range:uint64():band(mask[len]), range
end

function Reader:bytes(len)
  if len < 0 or self.at + len > self.stop then self.ok = false return nil end
  if len == 0 then return nil end
  local range = self.buffer(self.at, len)
  self.at = self.at + len
  return range
end

local function add_varint(reader, branch, proto_field)
  local value, range = reader:varint()
  if range then branch:add(proto_field, range, value) end
  return value:tonumber()
end

local function add_bytes(reader, branch, proto_field, len)
  local range = reader:bytes(len)
  if range then branch:add(proto_field, range) end
end

local readers = {}
local function values(...)
  local fields = { ... }
  return function(reader, branch)
    for _, one in ipairs(fields) do add_varint(reader, branch, one) end
  end
end

local function read_ack(with_ecn)
  return function(reader, branch)
    add_varint(reader, branch, f.largest)
    reader:varint()
    local more = reader:varint():tonumber()
    reader:varint()
    while more > 0 and reader.ok do
      reader:varint()
      reader:varint()
      more = more - 1
    end
    if with_ecn then for _ = 1, 3 do reader:varint() end end
  end
end

readers[0x00] = function() end
readers[0x01] = readers[0x00]
readers[0x08] = readers[0x00]
readers[0x10] = readers[0x00]
readers[0x02] = read_ack(false)
readers[0x03] = read_ack(true)
readers[0x04] = values(f.channel, f.mode, f.message, f.total)
readers[0x05] = values(f.value)
readers[0x06] = values(f.channel, f.value)
readers[0x07] = function(reader, branch)
  add_varint(reader, branch, f.channel)
  local kind, range = reader:varint()
  if range then branch:add(f.mode, range, bit.band(kind:tonumber(), 3)) end
  add_varint(reader, branch, f.message)
  add_varint(reader, branch, f.total)
  add_varint(reader, branch, f.offset)
  if bit.band(kind:tonumber(), 4) ~= 0 then add_varint(reader, branch, f.deadline) end
  add_bytes(reader, branch, f.data, reader:varint():tonumber())
end
readers[0x09] = function(reader, branch) add_bytes(reader, branch, f.data, 8) end
readers[0x0a] = readers[0x09]
readers[0x0b] = function(reader, branch)
  add_varint(reader, branch, f.value)
  add_bytes(reader, branch, f.data, 24)
end
readers[0x0c] = values(f.value)
readers[0x0d] = values(f.value, f.value, f.value)
readers[0x0e] = function(reader, branch)
  add_varint(reader, branch, f.value)
  add_bytes(reader, branch, f.reason, reader:varint():tonumber())
end
readers[0x0f] = values(f.value)

local function read_msg(reader, branch, kind, range)
  branch:add(f.mode, range, bit.band(bit.rshift(kind, 5), 3))
  add_varint(reader, branch, f.channel)
  add_varint(reader, branch, f.message)
  if bit.band(kind, 0x10) ~= 0 then
    add_varint(reader, branch, f.total)
    add_varint(reader, branch, f.offset)
  end
  if bit.band(kind, 0x08) ~= 0 then add_varint(reader, branch, f.deadline) end
  local len = reader.stop - reader.at
  if bit.band(kind, 0x04) ~= 0 then len = reader:varint():tonumber() end
  add_bytes(reader, branch, f.data, len)
end

local function dissect_frames(buffer, from, stop, tree)
  local reader = setmetatable({ buffer = buffer, at = from, stop = stop, ok = true }, Reader)
  local names = {}
  while reader.at < stop and reader.ok do
    local range = buffer(reader.at, 1)
    local kind = range:uint()
    reader.at = reader.at + 1
    local known = kind >= 0x80 and 0x80 or kind
    local name = frame_types[known]
    if not name then break end
    if kind == 0 then
      while reader.at < stop and buffer(reader.at, 1):uint() == 0 do reader.at = reader.at + 1 end
    end
    local branch = tree:add(f.frame, range, known)
    if kind >= 0x80 then
      read_msg(reader, branch, kind, range)
    else
      readers[kind](reader, branch)
    end
    names[#names + 1] = name
  end
  return table.concat(names, " ")
end

local function dissect_long(buffer, pinfo, tree)
  local kind = bit.band(bit.rshift(buffer(0, 1):uint(), 4), 3)
  tree:add(f.kind, buffer(0, 1))
  tree:add(f.version, buffer(1, 4))
  tree:add(f.dcid, buffer(5, 8))
  tree:add(f.scid, buffer(13, 8))
  local reader = setmetatable({ buffer = buffer, at = 21, stop = buffer:len(), ok = true }, Reader)
  add_bytes(reader, tree, f.token, reader:varint():tonumber())
  local len = reader:varint():tonumber()
  if kind == 0 and len > 0 and reader.ok then
    local suite = reader:bytes(1)
    tree:add(f.suite, suite)
    plaintext[key_of(pinfo)] = suite:uint() == 0
    len = len - 1
  end
  add_bytes(reader, tree, f.handshake, len)
  tree:add(f.checksum, buffer(buffer:len() - 4, 4))
  pinfo.cols.info = kinds[kind] or "?"
end

local function dissect_short(buffer, pinfo, tree)
  if buffer:len() < 14 then return end
  tree:add(f.dcid, buffer(1, 8))
  if not plaintext[key_of(pinfo)] then
    tree:add(f.protected, buffer(9))
    pinfo.cols.info = "Protected"
    return
  end
  tree:add(f.key_phase, buffer(0, 1))
  local number_len = bit.band(buffer(0, 1):uint(), 3) + 1
  local stop = buffer:len() - 4
  tree:add(f.number, buffer(9, number_len))
  pinfo.cols.info = dissect_frames(buffer, 9 + number_len, stop, tree)
  tree:add(f.checksum, buffer(stop, 4))
end

function udpcore.dissector(buffer, pinfo, tree)
  if buffer:len() < 10 then return 0 end
  pinfo.cols.protocol = "UDPCORE"
  local branch = tree:add(udpcore, buffer())
  if buffer(0, 1):uint() >= 0x80 then
    if buffer:len() < 27 then return 0 end
    dissect_long(buffer, pinfo, branch)
  else
    dissect_short(buffer, pinfo, branch)
  end
  return buffer:len()
end

udpcore:register_heuristic("udp", function(buffer, pinfo, tree)
  if buffer:len() < 27 or buffer(0, 1):uint() < 0xc0 or buffer(1, 4):uint() ~= VERSION then
    return false
  end
  udpcore.dissector(buffer, pinfo, tree)
  pinfo.conversation = udpcore
  return true
end)

for _, proto in ipairs({ seq, ack, fec, udpcore }) do
  DissectorTable.get("udp.port"):add_for_decode_as(proto)
end
