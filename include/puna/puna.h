// All of puna's public interface.
#pragma once

#include "puna/chat.h"
#include "puna/chat_reply.h"
#include "puna/engine.h"
#include "puna/error.h"
#include "puna/model.h"
#include "puna/request.h"
#include "puna/session.h"
#include "puna/version.h"
